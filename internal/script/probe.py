"""Says where this interpreter and its library are, as JSON."""
import importlib.util
import json
import os
import sys
import sysconfig

roots = {os.path.realpath(p) for p in (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)}


def is_library(path):
    """Whether a script may see a folder: the interpreter's, or one of packages."""
    if not os.path.isabs(path) or not os.path.isdir(path):
        return False  # the library as a zip file, for one, which hardly is there
    return os.path.basename(path) in ("site-packages", "dist-packages") or any(
        os.path.realpath(path).startswith(root + os.sep) for root in roots
    )


path = [os.path.realpath(p) for p in sys.path if is_library(p)]
boto3 = ""
if importlib.util.find_spec("boto3") and importlib.util.find_spec("botocore"):
    try:
        from importlib.metadata import version

        boto3 = version("boto3")
    except Exception:
        boto3 = "of an unknown version"

executable = getattr(sys, "_base_executable", None) or sys.executable
library = sysconfig.get_config_var("LIBDIR") if sysconfig.get_config_var("Py_ENABLE_SHARED") else None
folders = roots | set(path) | {os.path.dirname(os.path.realpath(executable))}
if library and os.path.isdir(library):
    folders.add(os.path.realpath(library))
json.dump(
    {
        "Executable": executable,
        "Version": "%d.%d" % sys.version_info[:2],
        "Path": path,
        "Roots": sorted(folders),
        "Boto3": boto3,
    },
    sys.stdout,
)
