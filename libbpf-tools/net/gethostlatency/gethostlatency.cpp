// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "gethostlatency.h"
#include "base/text.hpp"
#include "output/task_columns.hpp"
#include "probe/user_probe.hpp"
#include "shape/stream.hpp"
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>

#include "gethostlatency.skel.h"

namespace
{
using namespace corebox;
using P = decltype(gethostlatency_bpf::progs);

struct Options : resolve_config {
    std::vector<std::string_view> libraries;
};

struct Row : resolve_event {
    std::string host_text; // with "..." where it was cut
    std::string answer, error_text;
};

constexpr Example kExamples[] = {
    {"gethostlatency", "Trace all calls of resolver functions"},
    {"gethostlatency --where 'lat_ms > 100 || error != \"\"'", "Trace slow and failed calls"},
    {"gethostlatency -p 181", "Trace process 181, also if it is static and has symbols"},
};

constexpr Option kOptions[] = {
    opt<&Options::libraries>('l', "libc", "PATH,...", "Attach to these C libraries", {}, {},
                             "file"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

// By resolve_function.
constexpr std::string_view kFunctions[RESOLVE_FUNCTIONS] = {
    "getaddrinfo",      "getnameinfo",   "gethostbyname",   "gethostbyname2",   "gethostbyname_r",
    "gethostbyname2_r", "gethostbyaddr", "gethostbyaddr_r", "res_query",        "res_search",
    "res_querydomain",  "res_nquery",    "res_nsearch",     "res_nquerydomain",
};

// Then other names of the last ones: libresolv of glibc before 2.34.
constexpr auto kSymbols = [] {
    std::array<std::string_view, RESOLVE_NAMES> symbols{};
    std::size_t n = 0;
    for (const std::string_view function : kFunctions)
        symbols[n++] = function;
    for (const std::string_view older : {"__res_query", "__res_search", "__res_querydomain",
                                         "__res_nquery", "__res_nsearch", "__res_nquerydomain"})
        symbols[n++] = older;
    return symbols;
}();

struct Name {
    int code;
    std::string_view name;
};

// netdb.h of glibc; those that musl has are the same.
constexpr Name kEai[] = {
    {EAI_BADFLAGS, "EAI_BADFLAGS"},     {EAI_NONAME, "EAI_NONAME"},
    {EAI_AGAIN, "EAI_AGAIN"},           {EAI_FAIL, "EAI_FAIL"},
    {EAI_NODATA, "EAI_NODATA"},         {EAI_FAMILY, "EAI_FAMILY"},
    {EAI_SOCKTYPE, "EAI_SOCKTYPE"},     {EAI_SERVICE, "EAI_SERVICE"},
    {EAI_ADDRFAMILY, "EAI_ADDRFAMILY"}, {EAI_MEMORY, "EAI_MEMORY"},
    {EAI_SYSTEM, "EAI_SYSTEM"},         {EAI_OVERFLOW, "EAI_OVERFLOW"},
    {EAI_IDN_ENCODE, "EAI_IDN_ENCODE"},
};
constexpr Name kHErrno[] = {
    {HOST_NOT_FOUND, "HOST_NOT_FOUND"}, {TRY_AGAIN, "TRY_AGAIN"},
    {NO_RECOVERY, "NO_RECOVERY"},       {NO_DATA, "NO_DATA"},
    {NETDB_INTERNAL, "NETDB_INTERNAL"},
};

std::string name_of(std::span<const Name> names, std::string_view kind, int code)
{
    for (const Name& n : names)
        if (n.code == code)
            return std::string(n.name);
    return cat(kind, " ", code);
}

// Empty: it succeeded.
std::string describe_error(const resolve_event& e)
{
    switch (e.error) {
    case RESOLVE_OK:
        return {};
    case RESOLVE_EAI:
        return name_of(kEai, "EAI", e.code);
    case RESOLVE_H_ERRNO:
        return name_of(kHErrno, "h_errno", e.code);
    case RESOLVE_ERRNO:
        return "ERANGE";
    case RESOLVE_NO_RETURN:
        return "no-return";
    default:
        return "failed";
    }
}

// What the kernel side has copied, of `size` bytes at most, and the final 0.
std::string_view text_of(const char* text, std::size_t len) { return {text, len ? len - 1 : 0}; }

Value address_value(const resolve_address& address)
{
    if (!address.family)
        return Absent{};
    return Address{address.bytes, address.family == AF_INET6};
}

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.task.time_ns}; }>("time_ns", "TIME", 8,
                                                               "Time at which the call ended"),
    col<[](const Row& r) { return r.task.pid; }>("pid", "PID", 7, "Process ID")
        .from<field<&Row::task, &task_info::pid>>(),
    col<[](const Row& r) { return r.task.tid; }>("tid", "TID", 7, "Thread ID", kJsonOnly)
        .from<field<&Row::task, &task_info::tid>>(),
    col<[](const Row& r) { return r.task.uid; }>("uid", "UID", 6, "User ID", kJsonOnly)
        .from<field<&Row::task, &task_info::uid>>(),
    col<[](const Row& r) -> Value { return r.task.comm; }>("comm", "COMM", 16,
                                                           "Command name of the thread")
        .from<field<&Row::task, &task_info::comm>>(),
    col<[](const Row& r) -> Value {
        return r.error == RESOLVE_NO_RETURN ? Value() : Value(Fixed{r.lat_ns / 1000, 3});
    }>("lat_ms", "LATms", -9, "Milliseconds from entry to return; - if it did not return")
        .as(ColumnType::decimal),
    col<[](const Row& r) { return Trusted{kFunctions[r.function % RESOLVE_FUNCTIONS]}; }>(
        "function", "FUNC", 16, "Function that the program called")
        .from_names<field<&resolve_event::function>, kFunctions>(),
    col<[](const Row& r) -> Value {
        return r.error == RESOLVE_OK ? Value() : Value(Trusted{r.error_text});
    }>("error", "ERROR", 14, "Error by name; - on success; failed: no error is known")
        .as(ColumnType::text),
    col<[](const Row& r) -> Value {
        return r.service_len ? Value(text_of(r.service, r.service_len)) : Value();
    }>("service", "SERV", 7, "Service: requested, or found by getnameinfo")
        .as(ColumnType::text),
    col<[](const Row& r) -> Value {
        return r.host_len ? Value(std::string_view(r.host_text)) : address_value(r.asked);
    }>("host", "HOST", 24, "Name or address to resolve")
        .as(ColumnType::text),
    col<[](const Row& r) -> Value {
        if (r.result_len)
            return text_of(r.result, r.result_len);
        return r.answer_bytes ? Value(Trusted{r.answer}) : address_value(r.found);
    }>("result", "RESULT", 0, "First address, or the name, that was found")
        .as(ColumnType::text),
};

constexpr UserSite kResolvers{.libraries = {"c", "resolv", "ld-musl-"}, .symbols = kSymbols};

constexpr std::string_view kBlind =
    "static programs without -p; Go; resolvers of a program's own, such as c-ares; the first "
    "milliseconds of a C library that no process used before";

constexpr Need kNeeds[] = {
    {.what = "returns of resolver functions",
     .rungs = user_rungs<&P::resolved, kResolvers, Options>()},
    {.what = "calls of resolver functions",
     .rungs = user_rungs<&P::enter_resolver, kResolvers, Options>(kBlind)},
    {.what = "threads that end within a call", .rungs = {rung<&P::thread_ends>("raw_tp")}},
};

bool decode(Row& row, const Options&, const void* record, std::size_t size)
{
    std::memcpy(static_cast<resolve_event*>(&row), record, std::min(size, sizeof(resolve_event)));
    row.host_text = text_of(row.host, row.host_len);
    if (row.host_len == RESOLVE_HOST_LEN)
        row.host_text += "...";
    row.error_text = describe_error(row);
    row.answer = row.answer_bytes ? cat(row.answer_bytes, " bytes") : std::string();
    return true;
}

constexpr Stream<gethostlatency_bpf, Options, Row> kTool{
    .about = {.name = "gethostlatency",
              .area = "net",
              .summary = "Trace name resolution and its latency",
              .details =
                  "Prints one line for each call of a resolver function of the C library, with "
                  "its latency and result: getaddrinfo(3), gethostbyname(3) and others.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .decode = decode,
    .prepare = [](Options& o,
                  Session&) { o.res_h_errno = offsetof(struct __res_state, res_h_errno); },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
