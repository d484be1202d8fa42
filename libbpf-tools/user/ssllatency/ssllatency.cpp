// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "ssllatency.h"
#include "../tls.hpp"
#include "output/task_fields.hpp"
#include "shape/histogram.hpp"

#include "ssllatency.skel.h"

namespace
{
using namespace corebox;
using P = decltype(ssllatency_bpf::progs);

struct Options : TlsOptions {
    bool milliseconds = false, failed = false, per_function = false, per_process = false;
};

constexpr Example kExamples[] = {
    {"ssllatency", "Measure TLS until Ctrl-C"},
    {"ssllatency -p 181 1 10", "Measure process 181, ten reports, one per second"},
    {"ssllatency --per-process --where 'op == \"handshake\"'",
     "Compare the handshakes of processes"},
    {"ssllatency -m --extra-lib openssl:/opt/app/server", "Measure a program with its own OpenSSL"},
};

constexpr Option kOptions[] = {
    flag<&Options::milliseconds>('m', "milliseconds", "Show milliseconds"),
    flag<&Options::per_function>('F', "function", "Show a histogram for each function"),
    flag<&Options::per_process>(0, "per-process", "Show a histogram for each process"),
    flag<&Options::failed>('x', "failed", "Include calls that fail or find the end"),
    kTlsOptions[0],
    kTlsOptions[1],
    kTlsOptions[2],
    kTlsOptions[3],
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'u', "uid"}, {'c', "comm"}};

constexpr std::string_view kOperations[TLS_OPERATIONS] = {"read", "write", "handshake"};

constexpr Column kColumns[] = {
    col<[](const ssllatency_key& key) {
        return Trusted{kOperations[std::min<std::uint32_t>(key.operation, TLS_OPERATIONS - 1)]};
    }>("operation", "OPERATION", 10, "read, write or handshake"),
    col<[](const ssllatency_key& key) {
        return Trusted{kTlsFunctions[std::min<std::uint32_t>(key.function, TLS_FUNCTIONS - 1)]};
    }>("function", "FUNCTION", 19, "Function that the program called", costly("function")),
    col<&ssllatency_key::pid>("pid", "PID", 7, "Process ID", costly("per-process")),
};

constexpr Column kFields[] = {
    event_field_of_names<field<&ssllatency_event::operation>, kOperations>(
        "op", "read, write or handshake"),
    event_field_of_names<field<&ssllatency_event::function>, kTlsFunctions>(
        "function", "Function that the program called"),
    event_field_of_names<field<&ssllatency_event::function>, kTlsLibraryOf>(
        "library", "openssl, gnutls or nss"),
    event_field<field<&ssllatency_event::result>>("result", "Bytes, or result of the function"),
    task_field::microseconds("lat_us", "Duration in microseconds"),
    task_field::nanoseconds("lat_ns", "Duration in nanoseconds"),
    task_field::pid,
    task_field::tid,
    task_field::comm,
    task_field::cpu};

Unit unit(const Options& o)
{
    return o.milliseconds ? Unit{"msecs", 1'000'000} : Unit{"usecs", 1'000};
}

constexpr Histogram<ssllatency_bpf, Options, ssllatency_key> kTool{
    .about = {.name = "ssllatency",
              .area = "user",
              .summary = "Show the latency of TLS handshakes, reads and writes as histograms",
              .details = "Measures the functions of OpenSSL, GnuTLS and NSS from call to return, "
                         "with the time that they wait for the peer. Shows no data.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kTlsNeeds<P, Options>,
    .fields = kFields,
    .unit = unit,
    .setup =
        [](ssllatency_bpf& s, Options& o, const Session&) {
            s.rodata->tls_cfg.unit_ns = unit(o).raw;
            s.rodata->tls_cfg.failed = o.failed;
            s.rodata->tls_cfg.per_function = o.per_function;
            s.rodata->tls_cfg.per_process = o.per_process;
        },
    .prepare = [](Options& o,
                  Session& session) { choose_tls(o, session, kTlsNeeds<P, Options>, true); },
    .chosen = [](const Options& o) { return std::span<const Need>(o.needs); },
    .attached = [](const Options&, const Session& session) { say_tls(session); },
    .ending = [](ssllatency_bpf& s, Options& o) { end_tls(s, o); },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
