"""Runs a runbook's script: limits, clock and random numbers first, then the script
itself and its handler. What the handler gives goes to descriptor 3 as JSON."""
import os
import sys

# -S leaves the library's own folders only; those of packages come from the job.
here = os.path.dirname(os.path.abspath(__file__))
RESULT = 3


def main():
    import json

    os.set_inheritable(RESULT, False)
    with open(os.path.join(here, "job.json"), encoding="utf-8") as f:
        job = json.load(f)
    sys.path[:] = job["Path"]
    limit(job)
    # Without the site module, which -S leaves out, there are no exit and quit.
    import site

    site.setquit()
    if job["Time"] is not None:
        fix_clock(job["Time"], job["Dry"])
        fix_random(job["Seed"])
    try:
        payload = run(job)
        text = json.dumps({"Payload": payload}, allow_nan=False)
    except BaseException as e:  # SystemExit too: the handler did not return
        text = json.dumps({"Error": {"Class": type(e).__name__, "Message": describe(e)}})
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass
    out = text.encode("utf-8", "surrogatepass")
    while out:
        out = out[os.write(RESULT, out):]
    # Threads that the script has left behind are not waited for.
    os._exit(0)


def limit(job):
    import resource

    def at_most(which, n):
        hard = resource.getrlimit(which)[1]
        n = n if hard == resource.RLIM_INFINITY else min(n, hard)
        resource.setrlimit(which, (n, n))

    at_most(resource.RLIMIT_CORE, 0)
    at_most(resource.RLIMIT_AS, job["AddressSpace"])
    at_most(resource.RLIMIT_NOFILE, 512)
    if job["Processes"]:
        at_most(resource.RLIMIT_NPROC, job["Processes"])


def run(job):
    folder = os.path.join(here, "files")
    sys.path.insert(0, folder)
    os.chdir(job["Folder"])
    if job["Script"]:
        import importlib.util

        spec = importlib.util.spec_from_file_location("script", job["Script"])
        module = importlib.util.module_from_spec(spec)
        sys.modules["script"] = module
        spec.loader.exec_module(module)
        name = job["Handler"]
    else:
        import importlib

        file, _, name = job["Handler"].rpartition(".")
        module = importlib.import_module(file)
    handler = getattr(module, name, None)
    if not callable(handler):
        raise NameError("the script has no function %s" % name)
    return handler(job["Payload"], job["Context"] or {})


def describe(e):
    """Prints the traceback from the script's own code on, and gives the text."""
    import traceback

    frames = e.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith((__file__, "<frozen importlib")):
        frames = frames.tb_next
    try:
        traceback.print_exception(type(e), e, frames)
        return str(e)
    except Exception:
        return ""


def fix_clock(start, dry):
    """The clock shows start, and goes on while the script sleeps."""
    import datetime
    import time

    slept = 0.0
    real = {n: getattr(time, n) for n in ("sleep", "monotonic", "monotonic_ns", "gmtime", "localtime", "strftime", "ctime", "asctime")}

    def sleep(seconds):
        nonlocal slept
        if not dry:
            real["sleep"](seconds)
        elif seconds < 0:
            raise ValueError("sleep length must be non-negative")
        slept += float(seconds)

    time.sleep = sleep
    time.time = lambda: start + slept
    time.time_ns = lambda: int(start) * 10**9 + int(slept * 10**9)
    if dry:
        time.monotonic = lambda: real["monotonic"]() + slept
        time.monotonic_ns = lambda: real["monotonic_ns"]() + int(slept * 10**9)
    now = lambda given: time.time() if given is None else given
    time.gmtime = lambda s=None: real["gmtime"](now(s))
    time.localtime = lambda s=None: real["localtime"](now(s))
    time.ctime = lambda s=None: real["ctime"](now(s))
    time.strftime = lambda form, t=None: real["strftime"](form, time.localtime() if t is None else t)
    time.asctime = lambda t=None: real["asctime"](time.localtime() if t is None else t)

    class OfDate(type):
        def __instancecheck__(cls, it):
            return isinstance(it, real_date)

        def __subclasscheck__(cls, it):
            return issubclass(it, real_date)

    class OfDatetime(OfDate):
        def __instancecheck__(cls, it):
            return isinstance(it, real_datetime)

        def __subclasscheck__(cls, it):
            return issubclass(it, real_datetime)

    real_date, real_datetime = datetime.date, datetime.datetime

    class date(real_date, metaclass=OfDate):
        @classmethod
        def today(cls):
            return cls.fromtimestamp(time.time())

    class datetime_(real_datetime, metaclass=OfDatetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(time.time(), tz)

        @classmethod
        def today(cls):
            return cls.fromtimestamp(time.time())

        @classmethod
        def utcnow(cls):
            return cls.fromtimestamp(time.time(), datetime.timezone.utc).replace(tzinfo=None)

    for cls, name in ((date, "date"), (datetime_, "datetime")):
        cls.__name__ = cls.__qualname__ = name
        cls.__module__ = "datetime"
    datetime.date, datetime.datetime = date, datetime_


def fix_random(seed):
    """Random numbers, and the ids that uuid makes of them, are the same each time.
    os.urandom and secrets are not touched: a secret must not be foreseen."""
    import random
    import uuid

    random.seed(seed)
    ids = random.Random(seed ^ 0x5EED)
    uuid.uuid4 = lambda: uuid.UUID(int=ids.getrandbits(128), version=4)
    uuid.uuid1 = lambda node=None, clock_seq=None: uuid.UUID(int=ids.getrandbits(128), version=1)


main()
