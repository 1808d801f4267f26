"""Makes the cases of TestDifferential from the installed botocore.

For each operation of each service this prints one line of JSON with

  - two inputs, one random and one with every member, and the request that botocore's
    own client makes of each: after its handlers, endpoint rules, checksums and
    compression, before its signature;
  - two responses, written by differential_responses, and what botocore's parser reads;
  - a response with each error of the operation, likewise.

and then reads one line: the same outputs and errors as our server wrote them. Of these
it prints what botocore's parser reads, in a second line.

Everything follows from the seed, for each operation by itself: --every N takes each Nth
operation, whose cases are the same as in a run of all.
"""

import argparse
import base64
import copy
import io
import json
import os
import random
import re
import sys
import warnings

for name in [n for n in os.environ if n.startswith('AWS_')]:
    del os.environ[name]
os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull, AWS_EC2_METADATA_DISABLED='true')

import botocore
import botocore.config
import botocore.handlers
import botocore.httpchecksum
import botocore.parsers
import botocore.session
from botocore.compat import HTTPHeaders
from botocore.response import StreamingBody

import differential_responses as responses
from differential_values import Values, tagged

REGION = 'eu-west-1'
SIGV4A = ('cloudfront-keyvaluestore', 'events', 'sesv2')  # services that may want it
TOKEN = '00000000-0000-4000-8000-000000000000'  # what both sides fill in


class Stub:
    """As much of an HTTP response as botocore's client and handlers look at."""

    status_code = 200

    def __init__(self, content=None):
        self.raw = self.content = content


class Service:
    """A client of botocore's that hands over its requests in place of sending them."""

    def __init__(self, session, name, protocol=None):
        config = botocore.config.Config(
            # Otherwise botocore adds a CRC32 wherever a service takes one.
            request_checksum_calculation='when_required',
            response_checksum_validation='when_required',
            # SigV4a is more than botocore can do by itself.
            signature_version=botocore.UNSIGNED if name in SIGV4A else None,
        )
        loader = session.get_component('data_loader')
        if protocol:
            model = copy.copy(loader.load_service_model(name, 'service-2'))
            model['metadata'] = {**model['metadata'], 'protocol': protocol, 'protocols': [protocol]}
            session = with_model(session, name, model)
        self.client = session.create_client(name, region_name=REGION, config=config)
        self.model = self.client.meta.service_model
        self.protocol = self.model.resolved_protocol
        self.parser = botocore.parsers.create_parser(self.protocol)
        hyphenated = self.model.service_id.hyphenize()
        self.client.meta.events.unregister(f'request-created.{hyphenated}', self.client._request_signer.handler)
        self.client._endpoint.make_request = self.catch

    def catch(self, operation, request):
        self.caught = self.client._endpoint.create_request(request, operation)
        if operation.is_endpoint_discovery_operation:
            # Endpoint discovery finds what the rules say, and so changes nothing.
            return Stub(), {'Endpoints': [{'Address': self.client.meta.endpoint_url, 'CachePeriodInMinutes': 1}]}
        return Stub(), {}

    def request(self, op, params):
        """The request of a call, or why botocore refuses it."""
        try:
            self.client._make_api_call(op.name, params)
        except Exception as e:
            return {'error': f'{type(e).__name__}: {e}'}
        caught = self.caught
        headers = {k.lower(): v.decode() if isinstance(v, bytes) else str(v) for k, v in caught.headers.items()}
        body = caught.body
        if isinstance(body, botocore.httpchecksum.AwsChunkedWrapper):
            body = unchunk(body.read(), headers)
        elif hasattr(body, 'read'):
            body = body.read()
        if isinstance(body, str):
            body = body.encode()
        return {'method': caught.method, 'url': caught.url, 'headers': headers, 'body': encoded(body or b'')}

    def parse(self, op, status, headers, body):
        """What botocore reads in a response, as its endpoint does it."""
        response = {'status_code': status, 'headers': HTTPHeaders(), 'body': body, 'context': {'operation_name': op.name}}
        for name, text in headers.items():
            response['headers'][name] = text
        if status < 300 and op.has_streaming_output:
            response['body'] = StreamingBody(io.BytesIO(body), None)
        try:
            parsed = self.parser.parse(response, op.output_shape)
            shape = op.output_shape
            if status >= 300:
                error = parsed.get('Error', {})
                shape = self.model.shape_for_error_code(error.get('Code'))
                fields = self.parser.parse(response, shape) if shape else {}
                return {'code': error.get('Code'), 'message': error.get('Message'), 'fields': tagged(typed(shape, fields))}
            if self.model.service_name == 's3' and op.name == 'GetBucketLocation':
                botocore.handlers.parse_get_bucket_location(parsed, Stub(body))
            parsed.pop('ResponseMetadata', None)
            return {'output': tagged(typed(shape, parsed))}
        except Exception as e:
            return {'error': f'{type(e).__name__}: {e}'}


def with_model(session, name, model):
    """A session in which a service has another model."""
    other = botocore.session.Session()
    other.set_credentials('AKIDEXAMPLE', 'secret')
    loader = other.get_component('data_loader')
    load = loader.load_service_model

    def load_service_model(service, kind, api_version=None):
        if (service, kind) == (name, 'service-2'):
            return model
        return load(service, kind, api_version)

    loader.load_service_model = load_service_model
    return other


def unchunk(body, headers):
    """Takes a body out of aws-chunked, which is a way of sending it; the trailer's
    checksum is as good as one in a header."""
    size, _, rest = body.partition(b'\r\n')
    content = rest[: int(size, 16)]
    trailers = (body if not content else rest[int(size, 16) + 2 :]).split(b'\r\n')[1:]
    for line in filter(None, trailers):
        name, _, text = line.decode().partition(':')
        headers[name.lower()] = text
    for name in ('transfer-encoding', 'x-amz-trailer', 'x-amz-decoded-content-length'):
        headers.pop(name, None)
    encodings = [e for e in headers.pop('content-encoding').split(',') if e != 'aws-chunked']
    if encodings:
        headers['content-encoding'] = ','.join(encodings)
    return content


def typed(shape, value):
    """A parsed value with what botocore leaves as it came: a body that is a stream, bytes
    decoded as text, a number of JSON for a float."""
    if value is None or shape is None:
        return value
    if hasattr(value, 'read'):
        return value.read()
    kind = shape.type_name
    if kind == 'structure' and not shape.is_document_type and 'SDK_UNKNOWN_MEMBER' not in value:
        return {k: typed(shape.members[k], v) for k, v in value.items() if k in shape.members and v is not None}
    if kind == 'list':
        return [typed(shape.member, v) for v in value]
    if kind == 'map':
        return {k: typed(shape.value, v) for k, v in value.items()}
    if kind == 'blob' and isinstance(value, str):
        return value.encode()
    if kind in ('float', 'double'):
        return float(value)
    return value


def encoded(raw):
    return base64.b64encode(raw).decode()


def response(status, headers, body):
    return {'status': status, 'headers': headers, 'body': encoded(body)}


def cases(service, op, seed):
    """The cases of an operation, and the values of its responses."""
    requests, outputs, errors = [], [], []
    rnd = random.Random(f'{seed} noise')
    for every in (False, True):
        params = {}
        if op.input_shape:
            params = Values(f'{seed} input {every}', every, service.protocol, True).of(op.input_shape)
            suit(op, params, rnd)
        given = tagged(params)  # before handlers change it
        if not op.has_event_stream_input:
            requests.append({'input': given, **service.request(op, params)})
    if op.has_event_stream_output or op.has_event_stream_input:
        return {'requests': requests, 'outputs': [], 'errors': []}
    for every in (False, True):
        value = {}
        if op.output_shape:
            value = Values(f'{seed} output {every}', every, service.protocol, False).of(op.output_shape)
            fit(op, value)
        written = responses.write(op, service.protocol, value, rnd)
        outputs.append({'value': tagged(value), 'sent': response(*written), 'read': service.parse(op, *written)})
    for shape in op.error_shapes:
        value = Values(f'{seed} error {shape.name}', False, service.protocol, False).of(shape)
        for name, member in shape.members.items():
            if member.serialization.get('name', name).lower() == 'x-amzn-errortype':
                value[name] = shape.name  # the header that holds the code
        message = next((v for k, v in value.items() if k.lower() == 'message'), 'a message')
        written = responses.write_error(op, shape, service.protocol, value, message, rnd)
        error = {'name': shape.error_code, 'message': message, 'value': tagged(value)}
        errors.append({**error, 'sent': response(*written), 'read': service.parse(op, *written)})
    return {'requests': requests, 'outputs': outputs, 'errors': errors}


def suit(op, params, rnd):
    """Makes an input one that botocore can send, and Route 53's ids what it gives out."""
    algorithm = op.http_checksum.get('requestAlgorithmMember')
    if algorithm in params:
        params[algorithm] = rnd.choice(['CRC32', 'SHA1', 'SHA256'])  # it can't do the others by itself
    for name, member in op.input_shape.members.items():
        if op.service_model.service_name == 'route53' and name in params and member.name in ('ResourceId', 'ChangeId'):
            params[name] = rnd.choice(['', '/hostedzone/', '/change/']) + 'Z123'


def fit(op, value):
    """Makes an output one that HTTP can carry."""
    for name, member in op.output_shape.members.items():
        if member.serialization.get('location') == 'statusCode':
            value[name] = int(op.http.get('responseCode', 200))
    payload = op.output_shape.serialization.get('payload')
    if payload and not value.get(payload):
        # Of an empty body botocore makes an empty structure, and we none.
        empty = {'blob': b'a payload', 'string': 'a payload', 'structure': {}}
        value[payload] = empty[op.output_shape.members[payload].type_name]
    if payload and isinstance(value[payload], (bytes, str)):
        for name, member in op.output_shape.members.items():
            if member.serialization.get('name') == 'Content-Length':
                value[name] = len(value[payload])


def main():
    arguments = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    arguments.add_argument('--seed', default='1')
    arguments.add_argument('--every', type=int, default=1, metavar='N', help='take each Nth operation')
    arguments.add_argument('--only', default='', help='take the operations whose "service Operation" has this pattern')
    options = arguments.parse_args()
    warnings.simplefilter('ignore')
    botocore.handlers.uuid.uuid4 = lambda: TOKEN
    session = botocore.session.Session()
    session.set_credentials('AKIDEXAMPLE', 'secret')
    say({'botocore': botocore.__version__})
    taken = 0
    for name, protocol in services(session):
        service = None
        for operation in sorted(session.get_service_model(name).operation_names):
            taken += 1
            if taken % options.every or not re.search(options.only, f'{name} {operation}'):
                continue
            service = service or Service(session, name, protocol)
            op = service.model.operation_model(operation)
            seed = f'{options.seed} {name} {operation}'
            say({'service': name, 'operation': operation, 'protocol': service.protocol, 'extra': bool(protocol), **cases(service, op, seed)})
            answer = json.loads(sys.stdin.readline())
            say([service.parse(op, a['status'], a['headers'], base64.b64decode(a['body'])) for a in answer])


def services(session):
    """All services, and those of several protocols once more in each that botocore would
    not choose."""
    names = session.get_available_services()
    yield from ((name, None) for name in names)
    for name in names:
        model = session.get_service_model(name)
        for protocol in model.metadata.get('protocols', []):
            if protocol != model.resolved_protocol:
                yield name, protocol


def say(line):
    print(json.dumps(line), flush=True)


if __name__ == '__main__':
    main()
