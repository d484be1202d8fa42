# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Clients and servers of three TLS libraries, once a line comes on standard input: curl with s_server -www, gnutls-cli
# with gnutls-serv, tstclnt with selfserv.
read -r _
cd /tmp || exit 1
certificate=/etc/ssl/test.pem key=/etc/ssl/test.key

listens() { # PORT: waits until somebody does
    for _ in $(seq 100); do
        if grep -q ":$(printf %04X "$1") 0*:0000 0A" /proc/net/tcp /proc/net/tcp6; then return; fi
        sleep 0.1
    done
}

openssl s_server -quiet -www -accept 4433 -cert "$certificate" -key "$key" 2>&1 &
listens 4433
curl -s -k https://127.0.0.1:4433/ | wc -c | sed 's/^/curl /'

gnutls-serv -q --echo --x509certfile "$certificate" --x509keyfile "$key" -p 4434 >/dev/null 2>&1 &
listens 4434
(echo hello-gnutls && sleep 0.5) | gnutls-cli --insecure -p 4434 127.0.0.1 >/dev/null 2>&1

mkdir -p db
openssl pkcs12 -export -in "$certificate" -inkey "$key" -name localhost -passout pass: -out both.p12
certutil -N -d sql:db --empty-password
pk12util -i both.p12 -d sql:db -W '' >/dev/null
selfserv -d sql:db -n localhost -p 4435 >/dev/null 2>&1 &
listens 4435
printf 'GET / HTTP/1.0\r\n\r\n' | timeout 3 tstclnt -h 127.0.0.1 -p 4435 -d sql:db -o >/dev/null 2>&1

kill %1 %2 %3
echo done
