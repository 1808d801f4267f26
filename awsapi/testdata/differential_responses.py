"""Writes responses and errors as services do, by the protocols' documentation.

This is ours, not botocore's, which has no server side. What is written may hold what a
client has to pass over: members that the model lacks, nulls, comments, blanks.
"""

import base64
import datetime
import email.utils
import json
import math
import struct
from xml.sax.saxutils import escape

QUERY = ('query', 'ec2')
XML = ('query', 'ec2', 'rest-xml')
REST = ('rest-json', 'rest-xml')


def write(op, protocol, value, rnd):
    """A success: status, headers, body."""
    shape = op.output_shape
    status = int(op.http.get('responseCode', 200))
    headers = {'x-amzn-requestid': 'req-1'}
    if shape is None:
        return status, headers, empty(op, protocol)
    payload = shape.serialization.get('payload')
    if protocol in REST:
        for name, member in shape.members.items():
            if member.serialization.get('location') == 'statusCode' and name in value:
                status = value[name]
        write_headers(shape, value, headers)
    if payload and protocol in REST:
        return status, headers, write_payload(shape, payload, value, protocol, rnd)
    body = body_of(shape, value, protocol, rnd)
    if protocol in QUERY:
        wrapper = shape.serialization.get('resultWrapper')
        body = f'<{wrapper}>{body}</{wrapper}>' if wrapper else body
        body = response_document(op, protocol, body)
    elif protocol == 'rest-xml':
        if op.service_model.service_name == 's3' and op.name == 'GetBucketLocation':
            body = escape(value.get('LocationConstraint', ''))
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Result xmlns="urn:ours">{body}</Result>'
    return status, headers, body if isinstance(body, bytes) else body.encode()


def empty(op, protocol):
    if protocol in QUERY:
        return response_document(op, protocol, '').encode()
    return b''


def response_document(op, protocol, body):
    name = op.name + 'Response'
    metadata = '<requestId>req-1</requestId>' if protocol == 'ec2' else '<ResponseMetadata><RequestId>req-1</RequestId></ResponseMetadata>'
    return f'<?xml version="1.0"?>\n<!-- ours --><{name} xmlns="urn:ours">{metadata}{body}</{name}>'


def write_payload(shape, payload, value, protocol, rnd):
    member = shape.members[payload]
    if payload not in value:
        return b''
    content = value[payload]
    if member.type_name == 'blob':
        return content
    if member.type_name == 'string':
        return content.encode()
    if protocol == 'rest-xml':
        return f'<Payload xmlns="urn:ours">{Xml(rnd).members(member, content)}</Payload>'.encode()
    return json.dumps(Json(rnd).value(member, content)).encode()


def in_body(shape, value, protocol):
    """The members that go into the body; places of requests mean nothing in responses."""
    if protocol not in REST:
        return value
    away = ('header', 'headers', 'statusCode')
    return {k: v for k, v in value.items() if shape.members[k].serialization.get('location') not in away}


def body_of(shape, value, protocol, rnd):
    value = in_body(shape, value, protocol)
    if protocol in XML:
        return Xml(rnd, 'item' if protocol == 'ec2' else 'member').members(shape, value)
    if protocol == 'smithy-rpc-v2-cbor':
        return cbor(Cbor().value(shape, value))
    return json.dumps(Json(rnd).value(shape, value), ensure_ascii=rnd.random() < 0.5)


def write_error(op, error, protocol, value, message, rnd):
    """An error: status, headers, body."""
    status = error.metadata.get('error', {}).get('httpStatusCode') or (500 if error.metadata.get('fault') else 400)
    headers = {'x-amzn-requestid': 'req-1'}
    fault = 'Receiver' if status >= 500 else 'Sender'
    if protocol in REST:
        write_headers(error, value, headers)
    if protocol in XML:
        # Code and message are there in any case, as elements of their own.
        own = {k: v for k, v in in_body(error, value, protocol).items() if k.lower() not in ('message', 'code')}
        body = f'<Code>{error.error_code}</Code><Message>{escape(message)}</Message>' + Xml(rnd).members(error, own)
        if op.service_model.service_name == 's3':
            body = f'<Error>{body}<RequestId>req-1</RequestId></Error>'
        elif protocol == 'ec2':
            body = f'<Response><Errors><Error>{body}</Error></Errors><RequestID>req-1</RequestID></Response>'
        else:
            body = f'<ErrorResponse xmlns="urn:ours"><Error><Type>{fault}</Type>{body}</Error><RequestId>req-1</RequestId></ErrorResponse>'
        return status, headers, body.encode()
    if op.service_model.is_query_compatible:
        headers['x-amzn-query-error'] = f'{error.error_code};{fault}'
    named = any(k.lower() == 'message' for k in value)
    if protocol == 'smithy-rpc-v2-cbor':
        body = Cbor().value(error, value)
        body['__type'] = f'com.example#{error.name}'
        if not named:
            body['message'] = message
        return status, headers, cbor(body)
    body = Json(rnd).value(error, in_body(error, value, protocol))
    if not named:
        body['message'] = message
    if protocol == 'rest-json':
        if not any(name.lower() == 'x-amzn-errortype' for name in headers):
            headers['x-amzn-errortype'] = error.name + rnd.choice(['', ':http://internal.amazon.com/coral/com.example/'])
    else:
        body['__type'] = rnd.choice(['', 'com.example#']) + error.name
    return status, headers, json.dumps(body).encode()


# Headers.


def write_headers(shape, value, headers):
    for name, member in shape.members.items():
        if name not in value:
            continue
        place = member.serialization
        if place.get('location') == 'header':
            headers[place.get('name', name)] = header_text(member, value[name])
        elif place.get('location') == 'headers':
            for key, text in value[name].items():
                headers[place.get('name', '') + key] = text


def header_text(shape, value):
    if shape.serialization.get('jsonvalue'):
        return base64.b64encode(json.dumps(value).encode()).decode()
    if shape.type_name == 'list':
        return ', '.join(header_text(shape.member, v) for v in value)
    return scalar(shape, value, 'rfc822')


def scalar(shape, value, form):
    """A scalar as text; form is that of timestamps."""
    kind = shape.type_name
    if kind == 'boolean':
        return 'true' if value else 'false'
    if kind in ('float', 'double'):
        return number(value)
    if kind == 'blob':
        return base64.b64encode(value).decode()
    if kind == 'timestamp':
        return str(time(value, shape.serialization.get('timestampFormat') or form))
    return str(value)


def number(value):
    if math.isnan(value):
        return 'NaN'
    if math.isinf(value):
        return 'Infinity' if value > 0 else '-Infinity'
    return repr(value)


def time(value, form):
    if form == 'rfc822':
        return email.utils.format_datetime(value, usegmt=True)
    if form == 'iso8601':
        digits = f'.{value.microsecond // 1000:03d}' if value.microsecond else ''
        return value.strftime('%Y-%m-%dT%H:%M:%S') + digits + 'Z'
    seconds = (value - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) / datetime.timedelta(seconds=1)
    return seconds if value.microsecond else int(seconds)


# Bodies.


class Json:
    def __init__(self, rnd):
        self.random = rnd

    def value(self, shape, value):
        kind = shape.type_name
        if kind == 'structure':
            return value if shape.is_document_type else self.structure(shape, value)
        if kind == 'list':
            return [self.value(shape.member, v) for v in value]
        if kind == 'map':
            return {k: self.value(shape.value, v) for k, v in value.items()}
        if kind == 'timestamp':
            return time(value, shape.serialization.get('timestampFormat') or 'unixTimestamp')
        if kind == 'blob':
            return base64.b64encode(value).decode()
        if kind in ('float', 'double') and not math.isfinite(value):
            return number(value)
        return value

    def structure(self, shape, value):
        out = {}
        names = {name: member.serialization.get('name', name) for name, member in shape.members.items()}
        for name, member in value.items():
            out[names[name]] = self.value(shape.members[name], member)
        if not shape.is_tagged_union and self.random.random() < 0.1:
            out['NotInTheModel'] = {'a': [1, None, 'x']}
            for name in names.values():
                out.setdefault(name, None)  # as good as absent
        return out


class Xml:
    def __init__(self, rnd, element='member'):
        self.random = rnd
        self.element = element  # of lists that name none

    def members(self, shape, value):
        parts = []
        for name, content in value.items():
            member = shape.members[name]
            if not member.serialization.get('xmlAttribute'):
                parts.append(self.member(member, self.name(member, name), content))
        if not shape.is_tagged_union and self.random.random() < 0.1:
            parts.insert(0, '<NotInTheModel a="b"><c>1</c><c/></NotInTheModel>\n  <!-- ours -->')
        return ''.join(parts)

    @staticmethod
    def name(member, default):
        """The name of a member's elements; a flattened list's may be at its own members."""
        if member.type_name == 'list' and member.serialization.get('flattened') and 'name' in member.member.serialization:
            return member.member.serialization['name']
        return member.serialization.get('name', default)

    def member(self, shape, name, value):
        flat = shape.serialization.get('flattened')
        if shape.type_name == 'list':
            element = name if flat else shape.member.serialization.get('name', self.element)
            content = ''.join(self.member(shape.member, element, v) for v in value)
        elif shape.type_name == 'map':
            content = ''.join(self.entry(shape, name if flat else 'entry', k, v) for k, v in value.items())
        elif shape.type_name == 'structure':
            return f'<{name}{self.attributes(shape, value)}>{self.members(shape, value)}</{name}>'
        else:
            return f'<{name}>{self.text(shape, value)}</{name}>'
        return content if flat else f'<{name}>{content}</{name}>'

    def entry(self, shape, name, key, value):
        key = self.member(shape.key, shape.key.serialization.get('name', 'key'), key)
        value = self.member(shape.value, shape.value.serialization.get('name', 'value'), value)
        return f'<{name}>{key}{value}</{name}>'

    def attributes(self, shape, value):
        out = ''
        for name, content in value.items():
            place = shape.members[name].serialization
            if place.get('xmlAttribute'):
                prefix = place['name'].split(':')[0]
                out += f' xmlns:{prefix}="http://www.w3.org/2001/XMLSchema-instance" {place["name"]}="{escape(content)}"'
        return out

    def text(self, shape, value):
        text = scalar(shape, value, 'iso8601')
        if self.random.random() < 0.05 and ']]>' not in text:
            return f'<![CDATA[{text}]]>'
        return escape(text)


class Cbor:
    """Makes values that cbor can write."""

    def value(self, shape, value):
        kind = shape.type_name
        if kind == 'structure':
            return {shape.members[k].serialization.get('name', k): self.value(shape.members[k], v) for k, v in value.items()}
        if kind == 'list':
            return [self.value(shape.member, v) for v in value]
        if kind == 'map':
            return {k: self.value(shape.value, v) for k, v in value.items()}
        return value


def cbor(value):
    """CBOR, RFC 8949, of a value."""
    if value is None:
        return b'\xf6'
    if value is True or value is False:
        return b'\xf5' if value else b'\xf4'
    if isinstance(value, int):
        return cbor_head(0, value) if value >= 0 else cbor_head(1, -1 - value)
    if isinstance(value, float):
        return b'\xfb' + struct.pack('>d', value)
    if isinstance(value, datetime.datetime):
        return b'\xc1' + cbor(time(value, 'unixTimestamp'))
    if isinstance(value, bytes):
        return cbor_head(2, len(value)) + value
    if isinstance(value, str):
        return cbor_head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return cbor_head(4, len(value)) + b''.join(map(cbor, value))
    return cbor_head(5, len(value)) + b''.join(cbor(k) + cbor(v) for k, v in value.items())


def cbor_head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if n < 1 << 8 * size:
            return bytes([major << 5 | info]) + n.to_bytes(size, 'big')
    raise OverflowError(n)
