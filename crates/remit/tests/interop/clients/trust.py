# Which certificates stand where programs look for whom to trust.
import os
import re
import ssl

AUTHORITY = open("/etc/remit/authority.pem").read().strip()


def certificates(text):
    return set(re.findall("-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----", text))


def say(name, found):
    both = AUTHORITY in found, len(found) > 20
    print(name + ":", {(1, 0): "authority", (1, 1): "authority and roots"}.get(both, both))


for name in sorted(os.environ):
    if re.search("CERT|_CA_|CAINFO|ROOTS", name):
        say(name, certificates(open(os.environ[name]).read()))
for path in ["/etc/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt"]:
    say(path, certificates(open(path).read()))
