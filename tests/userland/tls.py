# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A TLS server and its client: five texts each way, once a line comes on standard input.
import os, socket, ssl, sys, threading

sys.stdin.readline()
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.load_cert_chain("/etc/ssl/test.pem", "/etc/ssl/test.key")
client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
client.check_hostname = False
client.verify_mode = ssl.CERT_NONE
listener = socket.create_server(("127.0.0.1", 0))


def serve():
    connection = server.wrap_socket(listener.accept()[0], server_side=True)
    for i in range(5):
        connection.send(connection.recv(5))


thread = threading.Thread(target=serve)
thread.start()
connection = client.wrap_socket(socket.create_connection(listener.getsockname()))
for i in range(5):
    connection.send(b"ping%d" % i)
    assert connection.recv(5) == b"ping%d" % i
thread.join()
print("port", listener.getsockname()[1])
sys.stdout.flush()
os._exit(0)
