// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// From the text of an expression to its typed form.
#include "expr/declarations.hpp"
#include "expr_place.hpp"

namespace corebox::expr
{
namespace
{

TEST_F(ExprParse, PrecedenceIsThatOfC)
{
    const Golden all[] = {
        {"n + n * n", "([ctx+40]:s32 + ([ctx+40]:s32 * [ctx+40]:s32):s32):s32"},
        {"n - n - n", "(([ctx+40]:s32 - [ctx+40]:s32):s32 - [ctx+40]:s32):s32"},
        {"n << 1 + 2", "([ctx+40]:s32 << 3):s32"},
        {"n & 1 == 1", "([ctx+40]:s32 & 1):s32"},
        {"n | n ^ n & n",
         "([ctx+40]:s32 | ([ctx+40]:s32 ^ ([ctx+40]:s32 & [ctx+40]:s32):s32):s32):s32"},
        {"n || n && n", "(truth([ctx+40]:s32) || (truth([ctx+40]:s32) && truth([ctx+40]:s32)))"},
        {"n < n == n", "(([ctx+40]:s32 < [ctx+40]:s32) == [ctx+40]:s32)"},
        {"!n == 0", "(!truth([ctx+40]:s32) == 0)"},
        {"-n * ~n", "(-[ctx+40]:s32 * ~[ctx+40]:s32):s32"},
        {"n ? n : n ? 1 : 2",
         "select(truth([ctx+40]:s32), [ctx+40]:s32, select(truth([ctx+40]:s32), 1, 2))"},
        {"(n + n) * n", "(([ctx+40]:s32 + [ctx+40]:s32):s32 * [ctx+40]:s32):s32"},
        {"n > n", "([ctx+40]:s32 < [ctx+40]:s32)"},
        {"n >= 3", "(3 <= [ctx+40]:s32)"},
        {"n % 10 / 2", "(([ctx+40]:s32 % 10):s32 / 2):s32"},
        {"*&n", "*&n\n ^\n'&' needs something in memory"},
        {"1 ? 2 : 3", "2"},
    };
    expect(all);
}

TEST_F(ExprParse, ConversionsAreThoseOfC)
{
    const Golden all[] = {
        {"arg1 > -1", "(-1:u64 < [ctx]:u64)"},
        {"retval < 0", "([ctx+40]:s32 < 0)"},
        {"n < 1u", "(u32([ctx+40]:s32) < 1:u32)"},
        {"n + 1L", "(s64([ctx+40]:s32) + 1:s64):s64"},
        {"(u8)n + 1", "(s32(u8([ctx+40]:s32)) + 1):s32"},
        {"(unsigned long)n", "u64([ctx+40]:s32)"},
        {"(int)(u16)arg1", "s32(u16([ctx]:u64))"},
        {"(u8)(u16)arg1", "u8([ctx]:u64)"},
        {"(u64)(int)arg1", "u64(s32([ctx]:u64))"},
        {"(bool)n", "truth([ctx+40]:s32)"},
        {"n << 40ul", "([ctx+40]:s32 << 40:u64):s32"},
        {"sk->__sk_common.skc_dport == 80", "(s32([[ctx]:struct sock*k+12]:u16) == 80)"},
        {"sk->sk_state == TCP_ESTABLISHED", "([[ctx]:struct sock*k+64]:u32 == 1:u32)"},
        {"n == 3 == n", "(([ctx+40]:s32 == 3) == [ctx+40]:s32)"},
    };
    expect(all);
}

TEST_F(ExprParse, ConstantsAreComputedWithTheirTypes)
{
    const Golden all[] = {
        {"2 + 3 * 4", "14"},
        {"0x7fffffff + 1", "-2147483648"},
        {"2147483648", "2147483648:s64"},
        {"0x80000000", "2147483648:u32"},
        {"0xffffffffffffffff", "-1:u64"},
        {"-1 < 0u", "0"},
        {"1u << 33", "2:u32"},
        {"-7 / 2", "-3"},
        {"-7 % 2", "-1"},
        {"~0", "-1"},
        {"(u8)300", "44:u8"},
        {"010", "8"},
        {"0b101", "5"},
        {"'a'", "97"},
        {"'\\n' + '\\x41' + '\\101'", "140"},
        {"'\\\\'", "92"},
        {"4k + 2M", "2101248"},
        {"1.5k", "1536"},
        {"5ms", "5000000"},
        {"0.25us", "250"},
        {"sizeof(struct sock)", "128:u64"},
        {"sizeof(unsigned long) + sizeof n", "12:u64"},
        {"sizeof sk->sk_name", "16:u64"},
        {"offsetof(struct sock, __sk_common.skc_num)", "14:u64"},
        {"offsetof(struct task_struct, table[2])", "40:u64"},
        {"O_CREAT | O_EXCL", "192"},
        {"AF_INET6 + EPERM + IPPROTO_TCP", "17"},
        {"0 && arg1", "0"},
        {"1 || arg1", "1"},
        {"1 && n", "truth([ctx+40]:s32)"},
        {"htons(80)", "20480:u16"},
        {"defined(1)", "1"},
        {"ULONG_MAX == -1", "1"},
    };
    expect(all);
}

TEST_F(ExprParse, ReachesMembers)
{
    const Golden all[] = {
        {"sk->__sk_common.skc_num", "[[ctx]:struct sock*k+14]:u16"},
        {"sk->__sk_common.skc_reuse", "[[ctx]:struct sock*k+19]:char{0+4/1}"},
        {"sk->__sk_common.skc_net_refcnt + 1",
         "(s32([[ctx]:struct sock*k+19]:char{6+1/1}) + 1):s32"},
        {"$task->parent->parent->pid",
         "[[[helper4]:struct task_struct*k]:struct task_struct*k+24]:s32"},
        {"(*$task).pid", "[helper4+24]:s32"},
        {"$task->table[2]", "[helper4+40]:u32"},
        {"$task->table[n]", "[(&(helper4+32):u32*k + (s64([ctx+40]:s32) * 4:s64):s64):u32*k]:u32"},
        {"*$task->pages", "[[helper4+48]:u64*k]:u64"},
        {"$task->pages[3]", "[[helper4+48]:u64*k+24]:u64"},
        {"*(u16 *)(arg1 + 4)", "[u16*(([ctx]:u64 + 4:u64):u64)]:u16"},
        {"((struct sock *)arg1)->sk_flags", "[struct sock*k([ctx]:u64)+96]:s64"},
        {"((struct sock *)$task)->sk_flags", "[helper4+96]:s64"},
        {"uptr->parent->pid", "[[[ctx+16]:struct task_struct*u]:struct task_struct*u+24]:s32"},
        {"((struct task_struct __user *)$task)->pid", "[&(helper4):struct task_struct*u+24]:s32"},
        {"container_of(&$task->pid, struct task_struct, pid)->parent",
         "[helper4]:struct task_struct*k"},
        {"&$task->table[1] - &$task->table[0]",
         "((s64(&(helper4+36):u32*k) - s64(&(helper4+32):u32*k)):s64 / 4:s64):s64"},
        {"$task + 1", "&(helper4+64):struct task_struct*k"},
        {"$task == 0", "(helper4 == 0:struct task_struct*k)"},
        {"NULL != $task", "(helper4 != 0:struct task_struct*k)"},
        {"!$task", "!truth(helper4)"},
        {"$task == $task->parent", "(u64(helper4) == u64([helper4]:struct task_struct*k))"},
        {"n ? $task : 0", "select(truth([ctx+40]:s32), helper4, 0:struct task_struct*k)"},
        {"$entry(arg2) == arg2", "([ctx+8]:u64 == [ctx+8]:u64)"},
        {"(cpumask_t)n", "u64([ctx+40]:s32)"},
        {"(n) - 1", "([ctx+40]:s32 - 1):s32"},
    };
    expect(all);
}

TEST_F(ExprParse, Texts)
{
    const Golden all[] = {
        {"comm == \"bash\"", "(text(record+24, 16) == \"bash\")"},
        {"\"bash\" != comm", "(text(record+24, 16) != \"bash\")"},
        {"comm ~ \"nginx*\"", "(text(record+24, 16) ~ \"nginx*\")"},
        {"comm =~ \"^a|b$\"", "(text(record+24, 16) =~ \"^a|b$\")"},
        {"host == \"db\"", "(column3 == \"db\")"},
        {"name->name == \"x\"", "(text([[ctx+8]:struct qstr*k+8]:char*) == \"x\")"},
        {"sk->sk_name", "text([ctx]:struct sock*k+68, 16)"},
        {"$task->parent->comm == \"sh\"", "(text([helper4]:struct task_struct*k+8, 16) == \"sh\")"},
        {"$task->arg == \"-c\"", "(text([helper4+56]:char*u) == \"-c\")"},
        {"STRCMP(\"tty\", arg2)", "(text(char*([ctx+8]:u64)) starts \"tty\")"},
        {"arg2@user == \"/etc\"", "(text(char*u([ctx+8]:u64)) == \"/etc\")"},
        {"ustr(args->filename)", "text(&([ctx+16]:char*):char*u)"},
        {"args->filename", "text([ctx+16]:char*)"},
        {"str(arg1, 8) == \"a\"", "(text(char*([ctx]:u64), 8) == \"a\")"},
        {"comm in {\"a\", \"b\"}",
         "((text(record+24, 16) == \"a\") || (text(record+24, 16) == \"b\"))"},
        {"comm == \"a\\tb\\\"\\x41\"", "(text(record+24, 16) == \"a\tb\"A\")"},
        {"comm[0] == 'a'", "(s32([record+24]:char) == 97)"},
        {"defined($task->parent->comm)", "defined(&([helper4]:struct task_struct*k+8):char*k)"},
        {"sk->sk_name + 4", "text([ctx]:struct sock*k+72)"},
    };
    expect(all);
}

TEST_F(ExprParse, SetsRangesAndNetworks)
{
    const Golden all[] = {
        {"n in {443, 80, 80}", "([ctx+40]:s32 in {80 443})"},
        {"n in 1..9", "((u32([ctx+40]:s32) - 1:u32):u32 <= 8:u32)"},
        {"arg1 in 0..9", "([ctx]:u64 <= 9:u64)"},
        {"n in {1, 3, 5..7}",
         "(((u32([ctx+40]:s32) - 5:u32):u32 <= 2:u32) || ([ctx+40]:s32 in {1 3}))"},
        {"n in {-1, 0xffffffff, 0x1ffffffff}", "([ctx+40]:s32 == -1)"},
        {"n in 1..arg1", "((1:u64 <= u64([ctx+40]:s32)) && (u64([ctx+40]:s32) <= [ctx]:u64))"},
        {"sk->__sk_common.skc_daddr in 10.0.0.0/8",
         "(([[ctx]:struct sock*k]:u32 & 255:u32):u32 == 10:u32)"},
        {"sk->__sk_common.skc_daddr == 127.0.0.1", "([[ctx]:struct sock*k]:u32 == 16777343:u32)"},
        {"sk->__sk_common.skc_v6_daddr in fe80::/10",
         "(([[ctx]:struct sock*k+32]:u64 & 49407:u64):u64 == 33022:u64)"},
        {"daddr == ::1",
         "(([record+64]:u64 == 0:u64) && ([record+72]:u64 == 72057594037927936:u64))"},
        {"daddr != 1.2.3.4",
         "(([record+64]:u64 != 0:u64) || ([record+72]:u64 != 289077008694968320:u64))"},
        {"daddr in {10.0.0.0/8}", "(([record+64]:u64 == 0:u64) && (([record+72]:u64 & "
                                  "1099511627775:u64):u64 == 47244574720:u64))"},
        {"sk->sk_name == 00:11:22:33:44:55", "(([[ctx]:struct sock*k+68]:u32 == 857870592:u32) && "
                                             "(s32([[ctx]:struct sock*k+72]:u16) == 21828))"},
    };
    expect(all);
}

TEST_F(ExprParse, UnitsOfColumns)
{
    const Golden all[] = {
        {"lat_us > 5ms", "(5000000:u64 < [record+8]:u64)"},
        {"lat_us > 1.5", "(1500:u64 < [record+8]:u64)"},
        {"lat_us < 1.0005", "([record+8]:u64 <= 1000:u64)"},
        {"wait_us < 1.5", "([record+16]:u64 <= 1:u64)"},
        {"1.5 <= wait_us", "(1:u64 < [record+16]:u64)"},
        {"wait_us > 5ms", "(5000:u64 < [record+16]:u64)"},
        {"lat_us in 1ms..2ms", "(([record+8]:u64 - 1000000:u64):u64 <= 1000000:u64)"},
        {"lat_us in {1ms, 5}", "([record+8]:u64 in {5000 1000000})"},
        {"lat_us - wait_us > 5ms",
         "(5000000:u64 < ([record+8]:u64 - ([record+16]:u64 * 1000:u64):u64):u64)"},
        {"lat_us > 2 * wait_us",
         "(((2:u64 * [record+16]:u64):u64 * 1000:u64):u64 < [record+8]:u64)"},
        {"lat_us + 5", "(([record+8]:u64 + 5000:u64):u64 / 1000:u64):u64"},
        {"lat_us", "([record+8]:u64 / 1000:u64):u64"},
        {"lat_us & 7", "(([record+8]:u64 / 1000:u64):u64 & 7:u64):u64"},
        {"arg1 > 5ms", "(5000000:u64 < [ctx]:u64)"},
    };
    expect(all);
}

TEST_F(ExprParse, HowValuesAreShown)
{
    const std::pair<const char*, Show> all[] = {
        {"arg1", Show::number},
        {"comm", Show::text},
        {"name->name", Show::text},
        {"host", Show::text},
        {"$task->table", Show::bytes},
        {"buf(arg1, 8)", Show::bytes},
        {"ip(sk->__sk_common.skc_daddr)", Show::ip},
        {"mac(sk->sk_name)", Show::mac},
        {"ksym(arg1)", Show::kernel_symbol},
        {"usym(arg1)", Show::user_symbol},
        {"errno(retval)", Show::error},
        {"flags(tcp_state, arg1)", Show::flags},
        {"*sk", Show::structure},
        {"sk->__sk_common", Show::structure},
        {"sk", Show::number},
    };
    for (const auto& [text, show] : all)
        EXPECT_EQ(shown(text), show) << text;
    Code code(types_);
    EXPECT_EQ(types_[parse_value(code, names(), "sk->sk_state").named_by].name, "enum tcp_state");
    EXPECT_EQ(types_[parse_value(code, names(), "(enum tcp_state)n").named_by].name,
              "enum tcp_state");
    EXPECT_EQ(value("ip(sk->__sk_common.skc_v6_daddr)"), "&([ctx]:struct sock*k+32):u8[16]*k");
    EXPECT_EQ(value("buf(arg1, 8)"), "u8[8]*([ctx]:u64)");
}

// What people write for BCC's trace and argdist: a signature, and expressions over its parameters.
TEST_F(ExprParse, ExpressionsOfBcc)
{
    const struct {
        const char *signature, *text, *form;
    } all[] = {
        {"", "arg2@user", "text(char*u([ctx+8]:u64))"},
        {"", "arg3 > 20000", "(20000:u64 < [ctx+16]:u64)"},
        {"", "retval", "[ctx+80]:u64"},
        {"", "retval != 0 && arg1 == 1", "(([ctx+80]:u64 != 0:u64) && ([ctx]:u64 == 1:u64))"},
        {"", "(int)retval < 0", "(s32([ctx+80]:u64) < 0)"},
        {"", "(char *)retval", "text(char*([ctx+80]:u64))"},
        {"", "STRCMP(\"test.txt\", arg1)", "(text(char*([ctx]:u64)) starts \"test.txt\")"},
        {"", "arg1 % 4096 == 0", "(([ctx]:u64 % 4096:u64):u64 == 0:u64)"},
        {"", "args->nr_sector * 512", "([ctx+24]:u32 * 512:u32):u32"},
        {"", "$latency / $entry(size)", "([ctx+88]:u64 / [ctx+96]:u64):u64"},
        {"", "$latency > 100000", "(100000:u64 < [ctx+88]:u64)"},
        {"", "$retval == 0 ? 0 : $PID", "select(([ctx+80]:u64 == 0:u64), 0:u32, [ctx+104]:u32)"},
        {"size_t size", "size == 16", "([ctx]:u64 == 16:u64)"},
        {"int fd, const void *buf, size_t count", "fd == 1 && count > 100",
         "(([ctx]:s32 == 1) && (100:u64 < [ctx+16]:u64))"},
        {"int fd, const void *buf, size_t count", "(char *)buf", "text([ctx+8]:void*)"},
        {"struct sock *sk, struct msghdr *msg, size_t size", "size", "[ctx+16]:u64"},
        {"struct sock *sk", "sk->__sk_common.skc_dport == 13568",
         "(s32([[ctx]:struct sock*k+12]:u16) == 13568)"},
        {"struct sock *sk", "ntohs(sk->__sk_common.skc_dport)",
         "swap2([[ctx]:struct sock*k+12]:u16)"},
        {"struct qstr *name", "name->name", "text([[ctx]:struct qstr*k+8]:char*)"},
        {"struct task_struct *prev", "prev->comm", "text([ctx]:struct task_struct*k+8, 16)"},
        {"struct task_struct *prev", "prev->parent->pid != $PID",
         "(u32([[[ctx]:struct task_struct*k]:struct task_struct*k+24]:s32) != [ctx+104]:u32)"},
        {"char *filename, int flags", "flags & O_CREAT && STRCMP(\"/tmp/\", filename)",
         "(truth(([ctx+8]:s32 & 64):s32) && (text([ctx]:char*) starts \"/tmp/\"))"},
        {"unsigned int seconds", "seconds", "[ctx]:u32"},
        {"u32 which, u64 *when", "when[which]",
         "[([ctx+8]:u64* + (s64([ctx]:u32) * 8:s64):s64):u64*]:u64"},
    };
    for (const auto& [signature, text, form] : all) {
        Code code(types_);
        const auto parameters = parse_signature(types_, signature);
        const TypeId u64 = types_.integer(8, false), u32 = types_.integer(4, false);
        const auto load = [&](std::int64_t offset, TypeId type) {
            return make_load(code, make_context(code), offset, type);
        };
        const Names bcc{.find =
                            [&](Code&, std::string_view name) {
                                for (std::size_t i = 0; i < parameters.size(); i++)
                                    if (parameters[i].name == name)
                                        return load(std::int64_t(8 * i), parameters[i].type);
                                if (name.starts_with("arg") && name.size() == 4)
                                    return load(8 * (name[3] - '1'), u64);
                                return name == "retval" || name == "$retval" ? load(80, u64)
                                       : name == "$latency"                  ? load(88, u64)
                                       : name == "size"                      ? load(96, u64)
                                       : name == "$PID"                      ? load(104, u32)
                                                                             : NodeId::none;
                            },
                        .field =
                            [&](Code&, std::string_view object, std::string_view member) {
                                return object == "args" && member == "nr_sector" ? load(24, u32)
                                                                                 : NodeId::none;
                            },
                        .call =
                            [&](Code&, std::string_view name, std::span<const NodeId> arguments) {
                                return name == "$entry" ? arguments[0] : NodeId::none;
                            }};
        try {
            EXPECT_EQ(print(code, parse_value(code, bcc, text).node), form) << text;
        } catch (const TextError& error) {
            ADD_FAILURE() << point_at(text, error);
        }
    }
}

TEST_F(ExprParse, Signatures)
{
    const auto signature = [&](std::string_view text) {
        std::string out;
        try {
            for (const Parameter& p : parse_signature(types_, text))
                out += cat(out.empty() ? "" : "; ", p.name, ": ", short_type(types_, p.type));
        } catch (const TextError& error) {
            return point_at(text, error);
        }
        return out;
    };
    EXPECT_EQ(signature("struct sock *sk, const char __user *name, int n"),
              "sk: struct sock*k; name: char*u; n: s32");
    EXPECT_EQ(signature("unsigned long long int a, u8, char buf[16], int (*f)(int, int), ..."),
              "a: u64; : u8; buf: char*; f: void*");
    EXPECT_EQ(signature("struct unknown *p, enum e x, void **q"),
              "p: struct unknown*; x: s32; q: void**");
    EXPECT_EQ(signature("void"), "");
    EXPECT_EQ(signature(""), "");
    EXPECT_EQ(signature("int a, foo_t b"), "int a, foo_t b\n       ^^^^^\nunknown type 'foo_t'");
    EXPECT_EQ(signature("int a b"), "int a b\n      ^\nexpected ',' before 'b'");
    EXPECT_EQ(signature("int a,"), "int a,\n      ^\nthe signature ends where a type is expected");
}

} // namespace
} // namespace corebox::expr
