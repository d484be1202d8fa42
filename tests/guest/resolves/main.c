// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Asks glibc for names in all ways that it has, each in a known number; "leave": leaves two calls
// without their return. In a program of its own, since a static one has no file of names.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <resolv.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void resolve(const char* host, const char* service, int flags)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags}, *found = NULL;
    if (getaddrinfo(host, service, &hints, &found) == 0)
        freeaddrinfo(found);
}

static void resolve_in_all_ways(void)
{
    resolve("near", "cb-web", 0);
    resolve("near", "no-such-service", 0);
    resolve("no-number", NULL, AI_NUMERICHOST);
    resolve(NULL, "53", 0);

    // The second's argument lies in what the first one answered, and is overwritten.
    const struct hostent* host = gethostbyname("near");
    if (host)
        gethostbyaddr(host->h_addr_list[0], 4, AF_INET);
    gethostbyname("no.such.name");
    gethostbyname2("localhost", AF_INET6);

    struct hostent answer, *p;
    char buffer[1024], name[NI_MAXHOST], service[NI_MAXSERV];
    int code;
    gethostbyname_r("near", &answer, buffer, 8, &p, &code);
    gethostbyname_r("near", &answer, buffer, sizeof buffer, &p, &code);
    gethostbyname2_r("localhost", AF_INET6, &answer, buffer, sizeof buffer, &p, &code);
    const struct in6_addr loopback = IN6ADDR_LOOPBACK_INIT;
    gethostbyaddr_r(&loopback, sizeof loopback, AF_INET6, &answer, buffer, sizeof buffer, &p, &code);

    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(8123)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    getnameinfo((const struct sockaddr*)&address, sizeof address, name, sizeof name, service,
                sizeof service, 0);

    unsigned char reply[512];
    res_query("query.example", 1, 1, reply, sizeof reply);
    struct __res_state state;
    memset(&state, 0, sizeof state);
    res_ninit(&state);
    res_nsearch(&state, "search.example", 1, 1, reply, sizeof reply);
    res_nclose(&state);
}

static sigjmp_buf out;
static void jump_out(int signal)
{
    (void)signal;
    siglongjmp(out, 1);
}

static void* wait_for_ever(void* unused)
{
    resolve("killed.example", NULL, 0);
    return unused;
}

// A server that does not answer: one call is left by siglongjmp(), one by the end of the process.
static int leave_calls(void)
{
    const int server = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(53)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(server, (const struct sockaddr*)&address, sizeof address) != 0)
        return 1;
    signal(SIGALRM, jump_out);
    if (sigsetjmp(out, 1) == 0) {
        ualarm(200000, 0);
        gethostbyname("left.example");
        return 1;
    }
    resolve("127.0.0.1", NULL, AI_NUMERICHOST);
    pthread_t thread;
    if (pthread_create(&thread, NULL, wait_for_ever, NULL) != 0)
        return 1;
    usleep(300000);
    return 0;
}

int main(int argc, char** argv)
{
    if (argc > 1 && strcmp(argv[1], "leave") == 0)
        return leave_calls();
    resolve_in_all_ways();
    return 0;
}
