"""Random values by the shapes of botocore's models, and their form in JSON."""

import base64
import datetime
import math
import random

# What a text is made of: much of it ordinary, some of it what encodings trip over.
PLAIN = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.'
TRICKY = ' /:;,=&+%?#@!$*~()[]{}<>"\'|^`' + '\\' + '\t\n' + 'éßあ€😀'
# In a header there are no line ends, and none but ASCII is sure to arrive.
HEADER = PLAIN + ' /:;=&+%?#@!$*~()[]{}<>\'|^`'

# Members that the endpoint rules read: their values must be what they name, or
# there is no endpoint to send the call to.
CONTEXT_VALUES = {
    'AccountId': '111122223333',
    'AccessPointName': 'my-access-point',
    'Bucket': 'my-bucket-1',
    'EndpointId': 'abcde.veo',
    'OutpostId': 'op-01ac5d28a6a232904',
    'StreamId': 'stream-1',
    'ConsumerARN': 'arn:aws:kinesis:eu-west-1:111122223333:stream/s/consumer/c:1',
    'KvsARN': 'arn:aws:cloudfront::111122223333:key-value-store/0123-abcd',
    'ResourceARN': 'arn:aws:kinesis:eu-west-1:111122223333:stream/s',
    'StreamARN': 'arn:aws:kinesis:eu-west-1:111122223333:stream/s',
}

# Likewise those by these names, which clients read.
CLIENT_VALUES = {
    'CopySource': 'my-bucket-1/a key/é+1?versionId=v1',
    'PredictEndpoint': 'https://realtime.machinelearning.eu-west-1.amazonaws.com',
    'SourceRegion': 'us-east-1',
}

# The most scalars that a value with every member has: it is as deep as that allows.
BUDGET = 400
DEEPEST = 12


class Values:
    """Makes values of shapes. The same seed gives the same values."""

    def __init__(self, seed, every, protocol, request):
        self.random = random.Random(seed)
        self.every = every
        self.request = request
        self.timestamps = 'iso8601' if protocol in ('query', 'ec2', 'rest-xml') else 'unixTimestamp'
        self.sizes = {}
        self.heights = {}

    def of(self, shape):
        """A value of a whole input, output or error."""
        depth = 1
        while depth < DEEPEST and self.size(shape, depth + 1) <= BUDGET:
            depth += 1
        if not self.every:
            depth = min(depth, self.random.randint(2, 5))
        return self.structure(shape, depth)

    # How large, and how deep at least.

    def size(self, shape, depth):
        """The number of scalars of a value with every member down to a depth."""
        key = (shape.name, depth)
        if key not in self.sizes:
            self.sizes[key] = 1  # a shape in itself, at the same depth
            if shape.type_name == 'structure' and depth > 0 and not shape.is_document_type:
                sizes = [self.size(m, depth - 1) for m in shape.members.values()]
                self.sizes[key] = 1 + (max(sizes, default=0) if shape.is_tagged_union else sum(sizes))
            elif shape.type_name == 'list' and depth > 0:
                self.sizes[key] = self.size(shape.member, depth - 1)
            elif shape.type_name == 'map' and depth > 0:
                self.sizes[key] = 1 + self.size(shape.value, depth - 1)
        return self.sizes[key]

    def height(self, shape):
        """How many levels the smallest value of a shape has; without end is infinite."""
        if shape.name not in self.heights:
            self.heights[shape.name] = math.inf  # while it is looked at
            below = 0
            if shape.type_name == 'structure' and shape.is_tagged_union:
                below = min(map(self.height, shape.members.values()), default=0)
            elif shape.type_name == 'structure':
                below = max((self.height(shape.members[n]) for n in shape.required_members), default=0)
            elif shape.type_name in ('list', 'map') and shape.metadata.get('min', 0) > 0:
                below = self.height(shape.member if shape.type_name == 'list' else shape.value)
            if below == math.inf:
                del self.heights[shape.name]  # true on this path only
                return math.inf
            self.heights[shape.name] = 1 + below
        return self.heights[shape.name]

    # Values.

    def structure(self, shape, depth):
        if shape.is_document_type:
            return self.document(2)
        if shape.is_tagged_union:
            members = [n for n in shape.members if depth > 0 or self.height(shape.members[n]) < math.inf]
            if depth <= 0:
                members = [min(members, key=lambda n: self.height(shape.members[n]))]
            if not members:
                return {}
            name = self.random.choice(members)
            return {name: self.member(shape, name, depth)}
        out = {}
        for name, member in shape.members.items():
            if member.serialization.get('eventstream'):
                continue
            wanted = depth > 0 and (self.every or self.random.random() < 0.5) and self.height(member) < math.inf
            place = member.serialization
            if wanted or name in shape.required_members or place.get('location') == 'uri' or place.get('hostLabel'):
                out[name] = self.member(shape, name, depth)
        return out

    def member(self, shape, name, depth):
        member = shape.members[name]
        context = member.metadata.get('contextParam', {}).get('name')
        if self.request and context in CONTEXT_VALUES:
            return CONTEXT_VALUES[context]
        if self.request and name in CLIENT_VALUES and member.type_name == 'string':
            return CLIENT_VALUES[name]
        return self.value(member, depth - 1, member.serialization)

    def value(self, shape, depth, place):
        """A value for a place, which are the traits of the member that holds it."""
        if place.get('jsonvalue') and place.get('location') == 'header':
            return self.document(2)
        if shape.type_name == 'structure':
            return self.structure(shape, depth)
        return getattr(self, shape.type_name, self.string)(shape, depth, place)

    def count(self, shape, depth, most):
        least = shape.metadata.get('min', 0)
        if depth < 0 or shape.metadata.get('max', most) <= least:
            return least
        if self.every:
            return max(least, 1)
        return max(least, self.random.randint(0, min(most, shape.metadata.get('max', most))))

    def list(self, shape, depth, place):
        inner = dict(shape.member.serialization)
        if 'location' in place:
            inner['location'] = place['location']
        return [self.value(shape.member, depth - 1, inner) for _ in range(self.count(shape, depth, 3))]

    def map(self, shape, depth, place):
        inner = {'location': place['location']} if 'location' in place else {}
        out = {}
        for i in range(self.count(shape, depth, 3)):
            for _ in range(100):
                key = self.key(shape.key, inner)
                if key not in out:
                    break
            out[key] = self.value(shape.value, depth - 1, inner)
        return dict(sorted(out.items()))  # a map has no order, but a form numbers its entries

    def key(self, shape, place):
        if place.get('location') in ('headers', 'querystring'):
            return 'k' + ''.join(self.random.choices('abcdefghij', k=5))  # names of headers have no case
        return self.string(shape, 0, place)

    def string(self, shape, depth, place):
        r = self.random
        if place.get('hostLabel'):
            return 'label-' + str(r.randint(1, 999))
        if getattr(shape, 'enum', None):
            return r.choice(shape.enum)
        location = place.get('location')
        least, most = shape.metadata.get('min', 0), shape.metadata.get('max', 1 << 30)
        if location == 'uri':
            least = max(least, 1)
        length = min(least + r.randint(0, 12), max(most, least))
        if location in ('header', 'headers'):
            # Blanks at the ends of a header are not part of it.
            return self.text(HEADER if r.random() < 0.3 else PLAIN, length).strip().ljust(least, 'x')
        text = self.text(PLAIN + TRICKY if r.random() < 0.3 else PLAIN, length)
        return 'x' * length if location == 'uri' and set(text) <= {'.'} else text

    def text(self, alphabet, length):
        return ''.join(self.random.choices(alphabet, k=length))

    def integer(self, shape, depth, place, bits=31):
        r = self.random
        least = shape.metadata.get('min', -(1 << bits))
        most = shape.metadata.get('max', (1 << bits) - 1)
        if r.random() < 0.8:
            near = int(least) if least > 0 or most < 0 else max(int(least), -10)
            return min(int(most), near + r.randint(0, 1000))
        return r.randint(int(least), int(max(least, most)))

    def long(self, shape, depth, place):
        return self.integer(shape, depth, place, 63)

    def double(self, shape, depth, place):
        r = self.random
        limits = shape.metadata
        if not limits.keys() & {'min', 'max'} and r.random() < 0.1:
            return r.choice([math.inf, -math.inf, math.nan, 1e21, 1.5e-7, -0.25, 2.0**-10])
        least = limits.get('min', limits.get('max', 0) - 1000)
        most = limits.get('max', least + 1000)
        # Eighths have the same value in single and in double precision.
        return float(min(most, max(least, round((least + r.random() * (most - least)) * 8) / 8)))

    float = double

    def boolean(self, shape, depth, place):
        return self.random.random() < 0.5

    def blob(self, shape, depth, place):
        least, most = shape.metadata.get('min', 0), shape.metadata.get('max', 1 << 30)
        return self.random.randbytes(min(least + self.random.randint(0, 24), max(most, least)))

    def timestamp(self, shape, depth, place):
        r = self.random
        default = {'header': 'rfc822', 'querystring': 'iso8601', 'uri': 'iso8601'}.get(place.get('location'), self.timestamps)
        form = place.get('timestampFormat') or shape.serialization.get('timestampFormat') or default
        when = datetime.datetime.fromtimestamp(r.randint(0, 1 << 32), datetime.timezone.utc)
        # botocore writes other forms, and headers, in whole seconds only.
        if form == 'iso8601' and place.get('location') != 'header' and r.random() < 0.3:
            when += datetime.timedelta(milliseconds=r.randint(1, 999))
        return when

    def document(self, depth):
        r = self.random
        if self.every and depth == 2 or depth > 0 and r.random() < 0.4:
            return {self.text(PLAIN, 5) or 'k': self.document(depth - 1) for _ in range(r.randint(1, 3))}
        if depth > 0 and r.random() < 0.4:
            return [self.document(depth - 1) for _ in range(r.randint(0, 3))]
        return r.choice([self.text(PLAIN + TRICKY, 6), r.randint(-1 << 53, 1 << 53), r.random() * 1e6, True, False])


def tagged(value):
    """A value as JSON can hold it: what JSON has no kind for is an object with a tag."""
    if isinstance(value, dict):
        return {k: tagged(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [tagged(v) for v in value]
    if isinstance(value, (bytes, bytearray)):
        return {'$bytes': base64.b64encode(value).decode()}
    if isinstance(value, datetime.datetime):
        return {'$time': value.astimezone(datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%S.%fZ')}
    if isinstance(value, float) and not math.isfinite(value):
        return {'$float': 'NaN' if math.isnan(value) else 'Infinity' if value > 0 else '-Infinity'}
    if value is None or isinstance(value, (str, int, float)):
        return value
    return {'$unread': type(value).__name__}  # a parser's inner value that it handed out
