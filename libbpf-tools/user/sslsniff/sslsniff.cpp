// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "sslsniff.h"
#include "../tls.hpp"
#include "output/escape.hpp"
#include "output/hexdump.hpp"
#include "output/task_columns.hpp"
#include "shape/stream.hpp"
#include <algorithm>

#include "sslsniff.skel.h"

namespace
{
using namespace corebox;
using P = decltype(sslsniff_bpf::progs);

struct Options : TlsOptions {
    std::uint32_t size = TLS_DATA_DEFAULT;
    bool hexdump = false, handshake = false, data_only = false;
};

struct Row : tls_event {
    std::string_view data;
    bool hexdump = false, has_data = true;
    mutable std::string encoded{}; // of the data, once it is asked for

    std::uint64_t wanted() const
    {
        return tls_operation_of(function) != TLS_HANDSHAKE && result > 0 ? std::uint64_t(result)
                                                                         : 0;
    }
    std::uint64_t cut() const { return wanted() - std::min(wanted(), data.size()); }

    static tls_operation tls_operation_of(std::uint32_t function);
};

constexpr Example kExamples[] = {
    {"sslsniff -p 181", "Print what process 181 sends and receives through TLS"},
    {"sslsniff --hexdump -c curl", "Print the data of curl in hexadecimal"},
    {"sslsniff -l --handshake -a", "Include handshakes, latency and peer"},
    {"sslsniff --extra-lib openssl:/opt/app/server", "Trace a program with its own OpenSSL"},
    {"sslsniff --json -- curl -s https://localhost/", "Trace a command, with data in base64"},
};

constexpr Alias kAliases[] = {
    {"sslsnoop",
     {"-l", "--handshake", "--max-buffer-size", "0"},
     "Trace calls of TLS libraries, without their data"},
};

constexpr Option kOptions[] = {
    show('x', "extra", "Print the user and thread ID"),
    kTlsOptions[0],
    kTlsOptions[1],
    kTlsOptions[2],
    flag<&Options::hexdump>(0, "hexdump", "Print data in hexadecimal"),
    opt<&Options::size>(0, "max-buffer-size", "BYTES", "Limit the data of a call (default: 8192)",
                        {0, TLS_DATA_MOST}),
    show('l', "latency", "Print the duration of each call"),
    flag<&Options::handshake>(0, "handshake", "Include handshakes"),
    kTlsOptions[3],
    show('a', "address", "Print the descriptor and the peer"),
    flag<&Options::data_only>(0, "data-only", "Skip calls without data: errors, ends"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'u', "uid"}, {'c', "comm"}, {'d', "debug"}};

// By enum tls_function.
constexpr std::string_view kWords[TLS_FUNCTIONS] = {
    "READ/RECV", "READ/RECV", "WRITE/SEND", "WRITE/SEND", "HANDSHAKE",  "READ/RECV",  "WRITE/SEND",
    "HANDSHAKE", "READ/RECV", "READ/RECV",  "WRITE/SEND", "WRITE/SEND", "WRITE/SEND", "HANDSHAKE"};

tls_operation Row::tls_operation_of(std::uint32_t function)
{
    const char first = kWords[function][0];
    return first == 'R' ? TLS_READ : first == 'W' ? TLS_WRITE : TLS_HANDSHAKE;
}

constexpr Formula kFunction = field<&tls_event::function>;
constexpr Formula kHasConn = field<&tls_event::conn, &conn::family> != 0;

Value address(const Row& r, const std::uint8_t* bytes)
{
    return r.conn.family ? Value(Address{bytes, r.conn.family == CONN_IPV6}) : Value();
}

constexpr Column kColumns[] = {
    col<[](const Row& r) { return Trusted{kWords[r.function]}; }>(
        "func", "FUNC", 12, "READ/RECV, WRITE/SEND or HANDSHAKE")
        .from_names<kFunction, kWords>(),
    col<[](const Row& r) { return SinceFirst{r.task.time_ns}; }>("since_s", "TIME(s)", 18,
                                                                 "Seconds since the first event"),
    col<[](const Row& r) { return WallTime{r.task.time_ns}; }>("time_ns", "TIME", 8,
                                                               "Time of the event", kJsonOnly),
    col<[](const Row& r) -> Value { return r.task.comm; }>("comm", "COMM", 16,
                                                           "Command name of the thread")
        .from<field<&tls_event::task, &task_info::comm>>(),
    col<[](const Row& r) { return r.task.pid; }>("pid", "PID", 7, "Process ID")
        .from<field<&tls_event::task, &task_info::pid>>(),
    col<[](const Row& r) { return r.result; }>(
        "len", "LEN", 6, "Bytes, or the result of a failed call or a handshake")
        .from<field<&tls_event::result>>(),
    col<[](const Row& r) { return r.task.uid; }>("uid", "UID", 7, "User ID", with("extra"))
        .from<field<&tls_event::task, &task_info::uid>>(),
    col<[](const Row& r) { return r.task.tid; }>("tid", "TID", 7, "Thread ID", with("extra"))
        .from<field<&tls_event::task, &task_info::tid>>(),
    col<[](const Row& r) {
        return Fixed{r.lat_ns / 1000, 3};
    }>("lat_ms", "LAT(ms)", 7, "Duration of the call in milliseconds", with("latency"))
        .from<fixed(field<&tls_event::lat_ns> / 1000, 3)>(),
    col<[](const Row& r) { return r.lat_ns; }>("lat_ns", "LAT(ns)", 12, "The same in nanoseconds",
                                               kJsonOnly)
        .from<field<&tls_event::lat_ns>>(),
    col<[](const Row& r) -> Value { return r.fd >= 0 ? Value(r.fd) : Value(); }>(
        "fd", "FD", 4, "File descriptor of the connection", with("address"))
        .as(ColumnType::integer)
        .from<present(!(field<&tls_event::fd> < 0), field<&tls_event::fd>)>(),
    col<[](const Row& r) -> Value {
        return r.conn.family
                   ? Value(Endpoint{{r.conn.raddr, r.conn.family == CONN_IPV6}, r.conn.rport})
                   : Value();
    }>("remote", "RADDR:RPORT", 21, "Remote address and port", Show{Show::When::with, "address"})
        .as(ColumnType::text),
    col<[](const Row& r) { return address(r, r.conn.laddr); }>("laddr", "LADDR", 16,
                                                               "Local address", kJsonOnly)
        .as(ColumnType::address),
    col<[](const Row& r) -> Value { return r.conn.family ? Value(r.conn.lport) : Value(); }>(
        "lport", "LPORT", 5, "Local port", kJsonOnly)
        .as(ColumnType::integer)
        .from<present(kHasConn, field<&tls_event::conn, &conn::lport>)>(),
    col<[](const Row& r) { return address(r, r.conn.raddr); }>("raddr", "RADDR", 16,
                                                               "Remote address", kJsonOnly)
        .as(ColumnType::address),
    col<[](const Row& r) -> Value { return r.conn.family ? Value(r.conn.rport) : Value(); }>(
        "rport", "RPORT", 5, "Remote port", kJsonOnly)
        .as(ColumnType::integer)
        .from<present(kHasConn, field<&tls_event::conn, &conn::rport>)>(),
    col<[](const Row& r) { return Trusted{kTlsLibraryOf[r.function]}; }>(
        "library", "LIBRARY", 8, "openssl, gnutls or nss", kJsonOnly)
        .from_names<kFunction, kTlsLibraryOf>(),
    col<[](const Row& r) { return Trusted{kTlsFunctions[r.function]}; }>(
        "function", "FUNCTION", 19, "Function that the program called", kJsonOnly)
        .from_names<kFunction, kTlsFunctions>(),
    col<[](const Row& r) { return Hex{r.session}; }>(
        "session", "SESSION", 14, "Address of the library's object of the connection", kJsonOnly)
        .from<field<&tls_event::session>>(),
    col<[](const Row& r) { return r.data.size(); }>("data_bytes", "DATA-BYTES", 10,
                                                    "Bytes of data that were copied", kJsonOnly),
    col<[](const Row& r) { return r.cut(); }>("cut_bytes", "CUT", 8,
                                              "Bytes of the call that were not copied", kJsonOnly),
    col<[](const Row& r) { return r.unreadable != 0; }>(
        "unreadable", "UNREADABLE", 10, "Whether the data could not be read", kJsonOnly)
        .from<field<&tls_event::unreadable> != 0>(),
    col<[](const Row& r) {
        r.encoded.clear();
        encode_base64(r.encoded, r.data);
        return Trusted{r.encoded};
    }>("data", "DATA", 0, "The data in base64", kJsonOnly),
};

void prepare(Options& o, Session& session)
{
    choose_tls(o, session, kTlsNeeds<P, Options>, o.handshake);
}

void setup(sslsniff_bpf& s, Options& o, const Session& session)
{
    s.rodata->tls_cfg.most = o.size;
    s.rodata->tls_cfg.data_only = o.data_only;
    s.rodata->tls_cfg.conn = session.format != Format::text || session.given("address") ||
                             !session.columns.empty() || session.where;
}

bool decode(Row& row, const Options& o, const void* record, std::size_t size)
{
    static_cast<tls_event&>(row) = *static_cast<const tls_event*>(record);
    row.function = std::min<std::uint32_t>(row.function, TLS_FUNCTIONS - 1);
    row.data = {static_cast<const char*>(record) + sizeof(tls_event),
                std::min<std::size_t>(row.captured, size - sizeof(tls_event))};
    row.hexdump = o.hexdump;
    row.has_data = o.size != 0;
    return true;
}

void put_lines(std::string& text, std::string_view data)
{
    while (!data.empty()) {
        const std::size_t end = std::min(data.find('\n'), data.size());
        text += "    ";
        escape_text(text, data.substr(0, end), false);
        text += '\n';
        data.remove_prefix(std::min(end + 1, data.size()));
    }
}

// Each line of data is indented, so that none looks like a line of ours.
void put_data(std::string& text, const void* made)
{
    const Row& row = *static_cast<const Row*>(made);
    if (!row.wanted() || !row.has_data)
        return;
    if (row.unreadable) {
        text += cat("----- DATA NOT READABLE (", row.cut(), " bytes lost) -----\n\n");
        return;
    }
    text += "----- DATA -----\n";
    if (row.hexdump)
        put_hexdump(text, row.data);
    else
        put_lines(text, row.data);
    if (row.cut())
        text += cat("----- END DATA (TRUNCATED, ", row.cut(), " bytes lost) -----\n\n");
    else
        text += "----- END DATA -----\n\n";
}

constexpr Stream<sslsniff_bpf, Options, Row> kTool{
    .about = {.name = "sslsniff",
              .area = "user",
              .summary = "Print what programs send and receive through TLS, in plain text",
              .details = "Prints the data of TLS connections before it is encrypted and after it "
                         "is decrypted, in OpenSSL, GnuTLS and NSS. Warning: the output contains "
                         "secrets, such as passwords, cookies and personal data.",
              .examples = kExamples,
              .aliases = kAliases},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kTlsNeeds<P, Options>,
    .setup = setup,
    .decode = decode,
    .below = put_data,
    .prepare = prepare,
    .chosen = [](const Options& o) { return std::span<const Need>(o.needs); },
    .attached = [](const Options&, const Session& session) { say_tls(session); },
    .ending = [](sslsniff_bpf& s, Options& o) { end_tls(s, o); },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
