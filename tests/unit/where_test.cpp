// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// --where: what the kernel decides of a record is what user space would decide of the row.
#include "abi/event_stacks.h"
#include "abi/path.h"
#include "abi/stacks.h"
#include "abi/task.h"
#include "base/error.hpp"
#include "base/text.hpp"
#include "expr/build.hpp"
#include "session/where.hpp"
#include "tool/tool.hpp"
#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <random>

// The records, as both sides know them; the names of some enumerators are those of several.
#include "../../libbpf-tools/block/biosnoop/biosnoop.h"
#include "../../libbpf-tools/block/mdflush/mdflush.h"
#include "../../libbpf-tools/block/writeback/writeback.h"
#include "../../libbpf-tools/cpu/criticalstat/criticalstat.h"
#include "../../libbpf-tools/dynamic/funcslower/funcslower.h"
#include "../../libbpf-tools/file/dcsnoop/dcsnoop.h"
#include "../../libbpf-tools/file/filegone/filegone.h"
#include "../../libbpf-tools/file/filelife/filelife.h"
#include "../../libbpf-tools/file/mountsnoop/mountsnoop.h"
#include "../../libbpf-tools/file/opensnoop/opensnoop.h"
#include "../../libbpf-tools/file/slow_file.h"
#include "../../libbpf-tools/file/sofdsnoop/sofdsnoop.h"
#include "../../libbpf-tools/file/statsnoop/statsnoop.h"
#include "../../libbpf-tools/file/syncsnoop/syncsnoop.h"
#include "../../libbpf-tools/file/ttysnoop/ttysnoop.h"
#include "../../libbpf-tools/irq/softirqslower/softirqslower.h"
#include "../../libbpf-tools/memory/compactsnoop/compactsnoop.h"
#include "../../libbpf-tools/memory/drsnoop/drsnoop.h"
#include "../../libbpf-tools/memory/oomkill/oomkill.h"
#include "../../libbpf-tools/process/capable/capable.h"
#include "../../libbpf-tools/process/execsnoop/execsnoop.h"
#include "../../libbpf-tools/process/exitsnoop/exitsnoop.h"
#include "../../libbpf-tools/process/setuidsnoop/setuidsnoop.h"
#include "../../libbpf-tools/process/shmsnoop/shmsnoop.h"
#include "../../libbpf-tools/process/sigsnoop/sigsnoop.h"
#include "../../libbpf-tools/process/threadsnoop/threadsnoop.h"
#include "../../libbpf-tools/sched/naptime/naptime.h"
#include "../../libbpf-tools/sched/numasched/numasched.h"
#include "../../libbpf-tools/sched/runqslower/runqslower.h"
#include "../../libbpf-tools/user/bashreadline/bashreadline.h"
#include "../../libbpf-tools/user/dbslower/dbslower.h"
#include "../../libbpf-tools/user/sslsniff/sslsniff.h"
#include "../../libbpf-tools/user/ugc/ugc.h"
#include "../../libbpf-tools/user/uthreads/uthreads.h"

#include "../../libbpf-tools/net/bindsnoop/bindsnoop.h"
#include "../../libbpf-tools/net/gethostlatency/gethostlatency.h"
#include "../../libbpf-tools/net/mptcpify/mptcpify.h"
#include "../../libbpf-tools/net/rdmaucma/rdmaucma.h"
#include "../../libbpf-tools/net/skbtrace/skbtrace.h"
#include "../../libbpf-tools/net/solisten/solisten.h"
#include "../../libbpf-tools/net/tcpaccept/tcpaccept.h"
#include "../../libbpf-tools/net/tcpdrop/tcpdrop.h"
#include "../../libbpf-tools/net/tcppktlat/tcppktlat.h"
#include "../../libbpf-tools/net/tcpretrans/tcpretrans.h"
#include "../../libbpf-tools/net/tcpstates/tcpstates.h"
#include "../../libbpf-tools/net/tcptracer/tcptracer.h"
#include "../../libbpf-tools/net/udplife/udplife.h"
#include "../../libbpf-tools/net/undump/undump.h"
#include "../../libbpf-tools/user/uflow/uflow.h"
#include "abi/conn.h"
#include "abi/sock_owner.h"
namespace tcp // filelife has a life_event too
{
#include "../../libbpf-tools/net/tcplife/tcplife.h"
}

namespace corebox
{
namespace
{

using namespace std::string_view_literals;

// A member that cannot have just any value: what a record says of its size has to fit, and numbers
// of names have to be some.
struct Limit {
    std::size_t offset, size;
    std::int64_t most;
    std::int64_t least = 0;
};

// A text whose length, with its NUL, stands elsewhere.
struct TextOf {
    std::size_t length, text;
};

struct RecordOf {
    std::string_view tool;
    std::size_t size;
    std::vector<Limit> limits;
    std::vector<TextOf> texts{};
};

#define LIMIT(type, member, most)                                                                  \
    {                                                                                              \
        offsetof(type, member), sizeof(type::member), (most)                                       \
    }
#define TEXT(type, length, text)                                                                   \
    {                                                                                              \
        {                                                                                          \
            offsetof(type, length), offsetof(type, text)                                           \
        }                                                                                          \
    }
#define PATH_TEXT(type, member) TEXT(type, member.path_len, member.data)
#define PATH_LIMITS(type, member)                                                                  \
    {offsetof(type, member.path_len), 2, 30}, { offsetof(type, member.dir_len), 2, 1 }

const std::vector<RecordOf>& records()
{
    static const std::vector<RecordOf> kRecords = {
        {"opensnoop",
         sizeof(open_event),
         {PATH_LIMITS(open_event, path)},
         PATH_TEXT(open_event, path)},
        {"execsnoop",
         sizeof(exec_event),
         {LIMIT(exec_event, filename_len, 20),
          LIMIT(exec_event, cwd_len, 0),
          {offsetof(exec_event, dfd), 4, -99, -101}, // AT_FDCWD is -100

          LIMIT(exec_event, args_len, 50)},
         TEXT(exec_event, filename_len, data)},
        {"biosnoop", sizeof(biosnoop_request), {LIMIT(biosnoop_request, flags, REQUEST_UNKNOWN)}},
        {"exitsnoop", sizeof(exit_event), {LIMIT(exit_event, last, 1)}},
        {"statsnoop",
         sizeof(stat_event),
         {LIMIT(stat_event, call, STAT_CALLS - 1),
          {offsetof(stat_event, file.magic), 4, 1},
          {offsetof(stat_event, file.known), 1, 1},
          {offsetof(stat_event, file.deleted), 1, 1},
          PATH_LIMITS(stat_event, file.path)},
         PATH_TEXT(stat_event, file.path)},
        {"sslsniff", sizeof(tls_event), {LIMIT(tls_event, function, TLS_FUNCTIONS - 1)}},
        {"syncsnoop",
         sizeof(sync_event),
         {LIMIT(sync_event, call, SYNC_CALLS - 1),
          {offsetof(sync_event, file.known), 1, 1},
          {offsetof(sync_event, file.deleted), 1, 1},
          PATH_LIMITS(sync_event, file.path)},
         PATH_TEXT(sync_event, file.path)},
        {"gethostlatency",
         sizeof(resolve_event),
         {LIMIT(resolve_event, function, RESOLVE_FUNCTIONS - 1), LIMIT(resolve_event, host_len, 20),
          LIMIT(resolve_event, service_len, 20), LIMIT(resolve_event, result_len, 20)}},
        {"undump",
         offsetof(undump_event, data) + 64,
         {LIMIT(undump_event, direction, UNDUMP_DIRECTIONS - 1),
          LIMIT(undump_event, data_len, 60)}},
        {"bashreadline",
         sizeof(line_event),
         {LIMIT(line_event, head.len, 20), LIMIT(line_event, head.cut, 1)}},
        {"filelife",
         sizeof(life_event),
         {LIMIT(life_event, replaced, 1), PATH_LIMITS(life_event, path)},
         PATH_TEXT(life_event, path)},
        {"filegone",
         sizeof(gone_event),
         {LIMIT(gone_event, action, GONE_ACTIONS - 1), LIMIT(gone_event, directory, 1),
          LIMIT(gone_event, old_len, 20), LIMIT(gone_event, new_len, 20)},
         TEXT(gone_event, old_len, data)},
        {"dcsnoop",
         sizeof(dcsnoop_event),
         {LIMIT(dcsnoop_event, result, DCACHE_MISS), PATH_LIMITS(dcsnoop_event, path)},
         PATH_TEXT(dcsnoop_event, path)},
        {"ttysnoop", sizeof(tty_event), {LIMIT(tty_event, len, TTY_RECORD_LEN)}},
        {"uflow", sizeof(uflow_event), {LIMIT(uflow_event, is_end, 1)}},
        {"mountsnoop",
         sizeof(mount_event),
         {LIMIT(mount_event, call, MOUNT_CALLS - 1),
          LIMIT(mount_event, has_attr, 1),
          {offsetof(mount_event, text_len), 2, 100},
          {offsetof(mount_event, text_len) + 2, 2, 100},
          {offsetof(mount_event, text_len) + 4, 2, 100},
          {offsetof(mount_event, text_len) + 6, 2, 100}}},
        {"sofdsnoop",
         sizeof(sofd_event),
         {LIMIT(sofd_event, action, 1),
          {offsetof(sofd_event, name.known), 1, 1},
          {offsetof(sofd_event, name.deleted), 1, 1},
          PATH_LIMITS(sofd_event, name.path)},
         PATH_TEXT(sofd_event, name.path)},
        {"naptime", sizeof(nap_event), {}},
        {"numasched", sizeof(numasched_event), {}},
        {"runqslower", sizeof(runq_event), {}},
        {"sigsnoop", sizeof(sig_event), {LIMIT(sig_event, call, 6)}},
        {"capable", offsetof(capable_event, stacks), {LIMIT(capable_event, cap, 45)}},
        {"compactsnoop",
         offsetof(compactsnoop_event, stacks),
         {LIMIT(compactsnoop_event, kind, COMPACT_KINDS - 1), LIMIT(compactsnoop_event, status, 8),
          LIMIT(compactsnoop_event, sync, 1)}},
        {"drsnoop",
         offsetof(drsnoop_event, stacks),
         {LIMIT(drsnoop_event, kind, RECLAIM_KINDS - 1)}},
        {"oomkill",
         offsetof(oomkill_event, stacks),
         {LIMIT(oomkill_event, scope, 3), LIMIT(oomkill_event, chosen, 1),
          LIMIT(oomkill_event, cgroup.used, 20), LIMIT(oomkill_event, limit.used, 20)}},
        {"threadsnoop",
         sizeof(thread_event),
         {LIMIT(thread_event, kind, KIND_KERNEL), LIMIT(thread_event, start, 0)}},
        {"dbslower",
         sizeof(database_event),
         {LIMIT(database_event, server, SERVER_MYSQL), LIMIT(database_event, command, 31),
          LIMIT(database_event, outcome, STATEMENT_DIED),
          LIMIT(database_event, text_state, TEXT_UNKNOWN), LIMIT(database_event, text_len, 0),
          LIMIT(database_event, text_size, 0)}},
        {"ugc", sizeof(gc_event), {LIMIT(gc_event, kind, GC_SWEEP)}},
        {"uthreads",
         sizeof(uthreads_event),
         {LIMIT(uthreads_event, kind, UTHREAD_STOP), LIMIT(uthreads_event, start, 0)}},
        {"shmsnoop", sizeof(shm_event), {LIMIT(shm_event, call, SHM_CALLS - 1)}},
        {"setuidsnoop", sizeof(id_event), {LIMIT(id_event, call, CALL_EXEC)}},
        {"softirqslower", sizeof(softirq_event), {}},
        {"mdflush", sizeof(mdflush_event), {}},
        {"writeback",
         sizeof(writeback_event),
         {LIMIT(writeback_event, reason, WRITEBACK_REASONS - 1)}},
        {"criticalstat", sizeof(critical_event), {LIMIT(critical_event, stack_bytes, 0)}},
        {"funcslower", sizeof(funcslower_event), {}},
        {"fileslower",
         sizeof(slow_event),
         {LIMIT(slow_event, kind, 8), PATH_LIMITS(slow_event, path)},
         PATH_TEXT(slow_event, path)},
        {"tcpstates",
         sizeof(state_event),
         {LIMIT(state_event, old_state, 13), LIMIT(state_event, new_state, 13)}},
        {"skbtrace",
         offsetof(skb_event, stacks),
         {LIMIT(skb_event, hook, SKB_HOOKS - 1), LIMIT(skb_event, location, 0),
          LIMIT(skb_event, reason, 0)}},
        {"tcplife", sizeof(tcp::life_event), {LIMIT(tcp::life_event, state, 13)}},
        {"bindsnoop", sizeof(bind_event), {LIMIT(bind_event, options, 31)}},
        {"solisten", sizeof(listen_event), {LIMIT(listen_event, path_len, UNIX_PATH_MAX)}},
        {"tcppktlat", sizeof(pktlat_event), {}},
        {"udplife", sizeof(udplife_event), {}},
        {"mptcpify", sizeof(mptcpify_event), {}},
        {"rdmaucma", sizeof(ucma_event), {LIMIT(ucma_event, event, 20)}},
        {"tcpretrans",
         sizeof(retrans_event),
         {LIMIT(retrans_event, state, 13), LIMIT(retrans_event, type, RETRANS_TYPES - 1)}},
        {"tcpdrop", offsetof(drop_event, stacks), {}},
        {"tcpaccept", sizeof(accept_event), {LIMIT(accept_event, state, 13)}},
        {"tcpconnect", sizeof(connect_event), {LIMIT(connect_event, result, CONNECT_FAILED)}},
        {"tcpconnlat", sizeof(connect_event), {LIMIT(connect_event, result, CONNECT_FAILED)}},
        {"tcptracer",
         sizeof(tracer_event),
         {LIMIT(tracer_event, type, TRACE_CLOSE), LIMIT(tracer_event, result, CONNECT_RESULTS)}},
        {"fsslower",
         sizeof(slow_event),
         {LIMIT(slow_event, kind, 5), PATH_LIMITS(slow_event, path)},
         PATH_TEXT(slow_event, path)},
    };
    return kRecords;
}

// Small numbers of either sign and any bytes; texts with and without an end.
std::vector<std::byte> random_record(const RecordOf& of, std::mt19937& random)
{
    std::vector<std::uint64_t> words((of.size + 7) / 8);
    for (std::uint64_t& word : words)
        switch (random() % 4) {
        case 0:
            word = random() % 3;
            break;
        case 1:
            word = std::uint64_t(-std::int64_t(random() % 40)); // an errno
            break;
        case 2:
            for (unsigned i = 0; i < 8; i++)
                word = word << 8 | "ab/c.\0\1x"[random() % 8];
            break;
        default:
            word = std::uint64_t(random()) << 32 | random();
        }
    std::vector<std::byte> record(of.size);
    std::memcpy(record.data(), words.data(), of.size);
    for (const Limit& limit : of.limits) {
        const std::int64_t value =
            limit.least + std::int64_t(random() % std::uint64_t(limit.most - limit.least + 1));
        std::memcpy(record.data() + limit.offset, &value, limit.size);
    }
    for (const TextOf& text : of.texts) {
        std::uint16_t length = 0;
        std::memcpy(&length, record.data() + text.length, sizeof length);
        for (std::size_t i = 0; i < length; i++) {
            const char c = i + 1u == length ? '\0' : "ab.-"[random() % 4];
            std::memcpy(record.data() + text.text + i, &c, 1);
        }
    }
    return record;
}

// Compares one column of one record; false: only user space knows it.
bool compare(const Column& column, std::span<const Column> columns, const Value& shown,
             std::span<const std::byte> record)
{
    expr::Types types;
    expr::Code code(types);
    expr::World world;
    world.record = record;
    const Clock clock(true);
    std::string joined;
    const Value value = plain_value(shown, clock, joined);
    const auto as_column = [&] {
        return code.add({.op = expr::Op::column,
                         .type = column_type(types, column.type),
                         .value = &column - columns.data()});
    };
    if (column.field->names) {
        if (value.kind == Value::Kind::absent)
            return false;
        const auto is = [&](std::string_view text) {
            const expr::NodeId test = code.add({.op = expr::Op::text_equal,
                                                .type = types.integer(4, true),
                                                .a = as_column(),
                                                .value = code.add_text(std::string(text))});
            return expr::test(code, test_of_record(code, test, columns), world);
        };
        EXPECT_EQ(is(value.str()), expr::Truth::yes) << value.str();
        EXPECT_EQ(is("no such name"), expr::Truth::no);
        return true;
    }
    if (column.type == ColumnType::address) { // by its parts
        EXPECT_EQ(shown.kind, Value::Kind::address);
        for (const std::int64_t part : {1, 2, 3}) {
            const expr::NodeId node =
                code.add({.op = expr::Op::column,
                          .type = types.integer(8, false),
                          .value = &column - columns.data() + part * kAddressPart});
            // Behind an address of IPv4 there are zeros, which are not random.
            const Value wanted = address_part(shown, part);
            const auto found = expr::compute(code, test_of_record(code, node, columns), world);
            EXPECT_TRUE(found);
            const std::int64_t mask = shown.digits || part == 3 ? -1 : part == 1 ? 0xffffffff : 0;
            EXPECT_EQ(found.value_or(-1) & mask, wanted.i & mask) << part;
        }
        return true;
    }
    const expr::NodeId node = column_of_record(code, column);
    const expr::NodeId defined =
        code.add({.op = expr::Op::defined, .type = types.integer(4, true), .a = node});
    switch (expr::test(code, defined, world)) {
    case expr::Truth::undecided:
        return false;
    case expr::Truth::no:
        EXPECT_EQ(value.kind, Value::Kind::absent);
        return true;
    case expr::Truth::yes:
        break;
    }
    if (column.type == ColumnType::text) {
        EXPECT_TRUE(value.kind == Value::Kind::text || value.kind == Value::Kind::trusted);
        EXPECT_EQ(expr::compute_text(code, node, world), std::string(value.str()));
    } else {
        EXPECT_FALSE(value.is_text()) << value.str();
        EXPECT_EQ(expr::compute(code, node, world), value.i);
    }
    return true;
}

TEST(Where, RecordsAreDecidedAsRows)
{
    std::mt19937 random(13);
    std::size_t streams = 0;
    for (const Tool* tool : all_tools())
        streams += tool->replay && !tool->where.empty() && tool->about.name != "trace"sv;
    EXPECT_EQ(streams, records().size()); // a new stream has its line above
    for (const RecordOf& of : records()) {
        const Tool& tool = *find_tool(of.tool).tool;
        ASSERT_TRUE(tool.replay) << of.tool;
        std::map<std::string_view, unsigned> compared;
        for (unsigned i = 0; i < 150; i++) {
            const auto record = random_record(of, random);
            tool.replay(record, [&](const void* row) {
                for (const Column& column : tool.columns) {
                    if (!column.field)
                        continue;
                    SCOPED_TRACE(testing::Message() << of.tool << " " << column.key);
                    compared[column.key] += compare(column, tool.columns, column.get(row), record);
                }
            });
            ASSERT_FALSE(HasFailure()) << of.tool << ", record " << i;
        }
        for (const Column& column : tool.columns) {
            if (column.field) {
                EXPECT_GT(compared[column.key], 0u) << of.tool << " " << column.key;
            }
        }
    }
}

TEST(Where, EveryColumnHasAType)
{
    for (const Tool* tool : all_tools())
        for (const Column& column : tool->where)
            EXPECT_NE(column.type, ColumnType::any) << tool->about.name << " " << column.key;
}

// What columns of the record are decided by is what every tool with such records has.
TEST(Where, EveryBodyFitsItsTool)
{
    for (const Tool* tool : all_tools())
        for (const Column& column : tool->where) {
            // Tools that trace functions have bodies of their own (dynamic/function_where.hpp).
            if (!column.field ||
                (tool->about.area == "dynamic" && tool->where.data() != tool->columns.data()))
                continue;
            SCOPED_TRACE(testing::Message() << tool->about.name << " " << column.key);
            const std::string_view test = column.type == ColumnType::text ? " != \"x\""
                                          : column.type == ColumnType::address
                                              ? " in {10.0.0.0/8, fe80::/10}"
                                              : " >= 3";
            Where where(cat(column.key, test), tool->where);
            EXPECT_NE(where.side(), expr::Side::user);
            EXPECT_GT(where.give_body(tool->object()).size(), tool->object().size());
        }
}

std::string error_of(std::string_view tool, std::string_view text)
{
    try {
        Where(text, find_tool(tool).tool->where);
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.status, Exit::usage);
        return cat(failure.message, "\n", failure.below);
    }
    return "none";
}

TEST(Where, ErrorsPointAtThePlace)
{
    EXPECT_EQ(error_of("opensnoop", "pid == 1 && pth == \"x\""),
              "--where: unknown name 'pth'; did you mean 'path'?\n"
              "pid == 1 && pth == \"x\"\n"
              "            ^^^");
    EXPECT_EQ(error_of("opensnoop", "since_s > 5"),
              "--where: since_s is relative to the first row that is shown; use another column\n"
              "since_s > 5\n"
              "^^^^^^^");
    EXPECT_NE(error_of("opensnoop", "path > 5"), "none");
    EXPECT_NE(error_of("opensnoop", "pid == \"x\""), "none");
    EXPECT_NE(error_of("opensnoop", "pid =="), "none");
}

TEST(Where, ExplainsWhatIsDecidedWhere)
{
    const auto explained = [](std::string_view tool, std::string_view text) {
        return Where(text, find_tool(tool).tool->where).explain();
    };
    EXPECT_EQ(explained("opensnoop", "err != 0 && path ~ \"/etc/*\" && error == \"ENOENT\""),
              "where: err != 0: kernel\n"
              "where: path ~ \"/etc/*\": kernel, else user space\n"
              "where: error == \"ENOENT\": user space\n");
    EXPECT_EQ(explained("syncsnoop", "call in {\"fsync\", \"sync\"} && lat_us > 1ms"),
              "where: call in {\"fsync\", \"sync\"}: kernel\n"
              "where: lat_us > 1ms: kernel\n");
    EXPECT_EQ(explained("biosnoop", "lat_ms > 1.5 || op == \"flush\""),
              "where: lat_ms > 1.5 || op == \"flush\": kernel\n");
}

// One condition, of a record by the kernel's rules and of its row by user space's.
TEST(Where, UnitsOfColumns)
{
    runq_event wait{};
    wait.wait_ns = 1'999'999; // shown as 1999 us
    std::strcpy(wait.comm, "nginx");
    const Tool& tool = *find_tool("runqslower").tool;
    const auto holds = [&](std::string_view text) {
        Where where(text, tool.where);
        EXPECT_EQ(where.side(), expr::Side::kernel);
        return where.decide({reinterpret_cast<const std::byte*>(&wait), sizeof wait});
    };
    EXPECT_EQ(holds("lat_us == 1999"), expr::Truth::yes);
    EXPECT_EQ(holds("lat_us >= 2ms"), expr::Truth::no);
    EXPECT_EQ(holds("lat_us < 2ms && comm ~ \"ngin?\""), expr::Truth::yes);
    EXPECT_EQ(holds("comm == \"ngin\" || prev_comm != \"\""), expr::Truth::no);
}

// Networks of both versions; of an address of IPv4 there are zeros behind it.
TEST(Where, Addresses)
{
    tcp::life_event life{};
    const Tool& tool = *find_tool("tcplife").tool;
    const auto holds = [&](std::string_view text) {
        Where where(text, tool.where);
        EXPECT_EQ(where.side(), expr::Side::kernel) << text;
        return where.decide({reinterpret_cast<const std::byte*>(&life), sizeof life}) ==
               expr::Truth::yes;
    };
    life.conn.family = CONN_IPV4;
    std::memcpy(life.conn.raddr, "\x0a\x01\x02\x03", 4);
    EXPECT_TRUE(holds("raddr == 10.1.2.3 && raddr in 10.0.0.0/8 && raddr in 10.1.0.0/15"));
    EXPECT_TRUE(holds("raddr != 10.1.2.4 && raddr != ::1 && raddr in {::/0, 0.0.0.0/0}"));
    EXPECT_FALSE(holds("raddr != 10.1.2.3 || raddr in {10.1.2.4, 192.168.0.0/16, ::/0}"));
    life.conn.family = CONN_IPV6;
    std::memcpy(life.conn.raddr, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
    EXPECT_TRUE(holds("raddr == 2001:db8::1 && raddr in 2001:db8::/32 && raddr in 2001:db8::/127"));
    EXPECT_FALSE(holds("raddr in {0.0.0.0/0, 2001:db8::2, 2001:db9::/32}"));
    EXPECT_NE(error_of("tcplife", "raddr > 10.0.0.1"), "none");
    EXPECT_NE(error_of("tcplife", "raddr == 5"), "none");
}

} // namespace
} // namespace corebox
