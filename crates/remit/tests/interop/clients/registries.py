# Writes one package, in the forms of PyPI, crates.io and npm, below a folder. Their content is
# CONTENT; they are served at BASE.
import base64
import hashlib
import io
import json
import os
import sys
import tarfile
import zipfile

folder, base, content = sys.argv[1:]


def write(path, data):
    path = os.path.join(folder, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    return data


def tarball(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()


out = io.BytesIO()
with zipfile.ZipFile(out, "w") as wheel:
    info = "models-1.0.dist-info/"
    wheel.writestr("models.py", f"TEXT = {content!r}\n")
    wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: models\nVersion: 1.0\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(info + "RECORD", f"models.py,,\n{info}METADATA,,\n{info}WHEEL,,\n{info}RECORD,,\n")
name = "models-1.0-py3-none-any.whl"
digest = hashlib.sha256(write("files/" + name, out.getvalue())).hexdigest()
link = f'<!DOCTYPE html><html><body><a href="{base}/files/{name}#sha256={digest}">{name}</a></body></html>'
write("simple/models/index.html", link.encode())

crate = write(
    "crates/models-1.0.0.crate",
    tarball(
        {
            "models-1.0.0/Cargo.toml": '[package]\nname = "models"\nversion = "1.0.0"\nedition = "2021"\n',
            "models-1.0.0/src/lib.rs": f'pub const TEXT: &str = "{content}";\n',
        }
    ),
)
entry = {"name": "models", "vers": "1.0.0", "deps": [], "features": {}, "yanked": False}
entry["cksum"] = hashlib.sha256(crate).hexdigest()
write("index/mo/de/models", json.dumps(entry).encode())
settings = {"dl": base + "/crates/{crate}-{version}.crate", "api": base}
write("index/config.json", json.dumps(settings).encode())

package = {"name": "models", "version": "1.0.0", "main": "index.js"}
files = {"package/package.json": json.dumps(package), "package/index.js": f'module.exports = "{content}";\n'}
packed = write("npm/-/models-1.0.0.tgz", tarball(files))
integrity = "sha512-" + base64.b64encode(hashlib.sha512(packed).digest()).decode()
package["dist"] = {"tarball": base + "/npm/-/models-1.0.0.tgz", "integrity": integrity}
known = {"name": "models", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": package}}
write("npm/models", json.dumps(known).encode())
