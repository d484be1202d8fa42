// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// From the text of an expression to its typed form, and what is said where there is none.
#include "expr/build.hpp"
#include "expr/declarations.hpp"
#include "expr/parse.hpp"
#include "expr_print.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace corebox::expr
{
namespace
{

// A few structures of a kernel, and the names of a place: sk and skb are known to the verifier,
// arg1 to arg6 are numbers, lat_us is kept in ns, wait_us in us, comm and path are texts of the
// record, host is known in user space only.
class ExprParse : public testing::Test
{
protected:
    TypeId add_structure(std::string name, std::uint32_t size, std::uint32_t id,
                         std::vector<Member> members)
    {
        return types_.add(
            {.kind = Type::Kind::structure, .size = size, .kernel_id = id, .name = std::move(name)},
            [members = std::move(members)](TypeId) { return members; });
    }

    void SetUp() override
    {
        const TypeId u8 = types_.integer(1, false), u16 = types_.integer(2, false),
                     u32 = types_.integer(4, false), u64 = types_.integer(8, false);
        const TypeId uchar = *types_.find("", "unsigned char");
        const TypeId state =
            types_.add({.kind = Type::Kind::enumeration, .size = 4, .name = "enum tcp_state"},
                       nullptr, [](TypeId) {
                           return std::vector<Enumerator>{{"TCP_ESTABLISHED", 1}};
                       });
        const TypeId in6 =
            add_structure("struct in6_addr", 16, 3, {{"u6_addr8", types_.array_of(u8, 16)}});
        const TypeId ports = add_structure("", 4, 0, {{"skc_dport", u16, 0}, {"skc_num", u16, 16}});
        const TypeId common = add_structure("struct sock_common", 64, 4,
                                            {{"skc_daddr", u32, 0},
                                             {"skc_rcv_saddr", u32, 32},
                                             {"", ports, 96},
                                             {"skc_family", u16, 128},
                                             {"skc_reuse", uchar, 152, 4},
                                             {"skc_net_refcnt", uchar, 158, 1},
                                             {"skc_v6_daddr", in6, 256}});
        sock_ = add_structure(
            "struct sock", 128, 5,
            {{"__sk_common", common, 0},
             {"sk_state", state, 512},
             {"sk_name", types_.array_of(types_.character(), 16), 544},
             {"sk_load", types_.add({.kind = Type::Kind::floating, .size = 8, .name = "double"}),
              704},
             {"sk_flags", types_.integer(8, true), 768},
             {"sk_gone", types_.add({.kind = Type::Kind::structure, .name = "struct gone"}), 832}});
        qstr_ = add_structure("struct qstr", 16, 6,
                              {{"hash", u32, 0},
                               {"len", u32, 32},
                               {"name", types_.pointer_to(uchar, Space::unknown), 64}});
        TypeId task{};
        task = types_.add({.kind = Type::Kind::structure,
                           .size = 64,
                           .kernel_id = 7,
                           .name = "struct task_struct"},
                          [this, &u32 = types_[u32], u64](TypeId id) {
                              return std::vector<Member>{
                                  {"parent", types_.pointer_to(id, Space::kernel), 0},
                                  {"comm", types_.array_of(types_.character(), 16), 64},
                                  {"pid", types_.integer(4, true), 192},
                                  {"table", types_.array_of(types_.integer(4, false), 4), 256},
                                  {"pages", types_.pointer_to(u64, Space::kernel), 384},
                                  {"arg", types_.pointer_to(types_.character(), Space::user), 448}};
                          });
        task_ = task;
        types_.add_source({.find = [=, this](std::string_view keyword,
                                             std::string_view name) -> std::optional<TypeId> {
                               if (keyword == "struct" && name == "sock")
                                   return sock_;
                               if (keyword == "struct" && name == "task_struct")
                                   return task_;
                               if (keyword == "struct" && name == "qstr")
                                   return qstr_;
                               if (keyword == "enum" && name == "tcp_state")
                                   return state;
                               if (keyword.empty() && name == "cpumask_t")
                                   return types_.integer(8, false);
                               return std::nullopt;
                           },
                           .constant = [](std::string_view name) -> std::optional<std::int64_t> {
                               return name == "TCP_ESTABLISHED" ? std::optional<std::int64_t>(1)
                                                                : std::nullopt;
                           },
                           .names =
                               [](std::string_view) {
                                   return std::vector<std::string>{"sock", "qstr", "task_struct"};
                               }});
    }

    NodeId find(Code& code, std::string_view name)
    {
        const NodeId context = make_context(code), record = make_record(code);
        const TypeId u64 = types_.integer(8, false);
        if (name == "sk")
            return make_load(code, context, 0, types_.pointer_to(sock_, Space::kernel), true);
        if (name == "name")
            return make_load(code, context, 8, types_.pointer_to(qstr_, Space::kernel), true);
        if (name == "$task")
            return make_helper(code, Helper::task, types_.pointer_to(task_, Space::kernel));
        if (name == "uptr")
            return make_load(code, context, 16, types_.pointer_to(task_, Space::user));
        if (name.size() == 4 && name.starts_with("arg") && name[3] >= '1' && name[3] <= '6')
            return make_load(code, context, 8 * (name[3] - '1'), u64);
        if (name == "n" || name == "retval")
            return make_load(code, context, 40, types_.integer(4, true));
        if (name == "lat_us")
            return lat_us_ = make_load(code, record, 8, u64);
        if (name == "wait_us")
            return wait_us_ = make_load(code, record, 16, u64);
        if (name == "comm")
            return make_load(code, record, 24, types_.array_of(types_.character(), 16));
        if (name == "daddr")
            return make_load(code, record, 64, types_.array_of(types_.integer(1, false), 16));
        if (name == "host")
            return code.add({.op = Op::column,
                             .type = types_.pointer_to(types_.character(), Space::user),
                             .value = 3});
        if (name == "args")
            throw TextError(0, 0, "this place has no fields", "use arg1");
        return NodeId::none;
    }

    Names names()
    {
        return {
            .find = [this](Code& code, std::string_view name) { return find(code, name); },
            .field =
                [this](Code& code, std::string_view object, std::string_view member) {
                    return object == "args" && member == "filename"
                               ? make_load(code, make_context(code), 16,
                                           types_.pointer_to(types_.character(), Space::unknown))
                               : NodeId::none;
                },
            .call =
                [this](Code&, std::string_view name, std::span<const NodeId> arguments) {
                    return name == "$entry" && arguments.size() == 1 ? arguments[0] : NodeId::none;
                },
            .all =
                [] {
                    return std::vector<std::string>{"sk", "name", "lat_us", "comm", "retval"};
                },
            .measure =
                [this](NodeId node) {
                    return node == lat_us_    ? Measure{1000, 1000}
                           : node == wait_us_ ? Measure{1, 1000}
                                              : Measure{};
                }};
    }

    std::string value(std::string_view text)
    {
        lat_us_ = wait_us_ = NodeId::none;
        Code code(types_);
        try {
            return print(code, parse_value(code, names(), text).node);
        } catch (const TextError& error) {
            return point_at(text, error);
        }
    }
    std::string condition(std::string_view text)
    {
        lat_us_ = wait_us_ = NodeId::none;
        Code code(types_);
        try {
            return print(code, parse_condition(code, names(), text));
        } catch (const TextError& error) {
            return point_at(text, error);
        }
    }
    Show shown(std::string_view text)
    {
        Code code(types_);
        return parse_value(code, names(), text).show;
    }

    // {text, typed form}.
    using Golden = std::pair<const char*, const char*>;
    void expect(std::span<const Golden> all)
    {
        for (const auto& [text, form] : all)
            EXPECT_EQ(value(text), form) << text;
    }
    // {text with the place between [[ and ]], message}.
    void expect_errors(std::span<const Golden> all)
    {
        for (const auto& [marked, message] : all) {
            const std::string_view m = marked;
            const auto open = m.find("[["), close = m.find("]]");
            const std::string text =
                cat(m.substr(0, open), m.substr(open + 2, close - open - 2), m.substr(close + 2));
            const std::string carets(std::max<std::size_t>(close - open - 2, 1), '^');
            EXPECT_EQ(value(text), cat(text, "\n", std::string(open, ' '), carets, "\n", message));
        }
    }

    Types types_;
    TypeId sock_{}, qstr_{}, task_{};
    NodeId lat_us_{}, wait_us_{};
};

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

TEST_F(ExprParse, ErrorsNameThePlace)
{
    const Golden all[] = {
        {"sk->[[foo]]", "no member 'foo' in struct sock; its members: __sk_common, sk_state, "
                        "sk_name, sk_load, sk_flags, sk_gone"},
        {"sk->[[__sk_comon]]",
         "no member '__sk_comon' in struct sock; did you mean '__sk_common'?"},
        {"sk->[[skc_dport]]",
         "no member 'skc_dport' in struct sock; did you mean '__sk_common.skc_dport'?"},
        {"sk->sk_gone.[[x]]", "no member 'x' in struct gone, of which only the name is known"},
        {"sk.[[sk_name]]",
         "'.' needs a structure, this is 'struct sock *'; did you mean '->sk_name'?"},
        {"[[arg1]]->x", "'->' needs a pointer to a structure, this is 'unsigned long'; cast it: "
                        "((struct NAME *)value)->member"},
        {"[[sk->sk_name]]->x", "'->' needs a pointer to a structure, this is 'char *'; cast it: "
                               "((struct NAME *)value)->member"},
        {"[[n]]->x", "'->' needs a pointer to a structure, this is 'int'"},
        {"[[retvl]] < 0", "unknown name 'retvl'; did you mean 'retval'?"},
        {"[[args]]", "this place has no fields; use arg1"},
        {"[[unknown]]", "unknown name 'unknown'"},
        {"[[sk->sk_load]] > 1", "floating-point values are not supported, this is 'double'"},
        {"[[(]]float)n", "floating-point values are not supported, this casts to 'float'"},
        {"[[sk->__sk_common]] > 1", "a structure is no value, this is 'struct sock_common'; take a "
                                    "member, or its address with '&'"},
        {"[[n]] == \"a\"", "a text is compared with a text, this is 'int'"},
        {"[[arg1]] == \"a\"", "a text is compared with a text, this is 'unsigned long'; str(value) "
                              "is the text at an address"},
        {"[[comm]] == 1", "a number is compared with 'char[16]'; texts are in double quotes"},
        {"[[comm]] && n", "an array is no condition, this is 'char[16]'; compare it: == \"text\""},
        {"\"a\" [[==]] \"b\"", "both sides are texts as they are written"},
        {"comm [[>]] \"a\"", "texts are compared by == and != and ~ and =~ only"},
        {"[[n]] ~ \"a\"", "a text is compared with a text, this is 'int'"},
        {"n ~ [[3]]", "expected a pattern in double quotes after '~'"},
        {"comm ~ [[\"[a\"]]", "'[' without ']' in the pattern"},
        {"comm =~ [[\"(\"]]", "malformed regular expression: Unmatched ( or \\("},
        {"comm == [[\"0123456789abcdefg\"]]",
         "never equal: the text has at most 16 bytes, this has 17"},
        {"comm == [[\"abc]]", "the text has no closing quote"},
        {"n ==[[]]", "the expression ends where a value is expected"},
        {"(n[[]]", "the expression ends where ')' is expected"},
        {"n[[)]]", "unexpected ')'"},
        {"n [[n]]", "unexpected 'n'"},
        {"n + [[*]] 2", "'*' needs a pointer, this is 'int'"},
        {"n ? 1[[]]", "the expression ends where ':' is expected"},
        {"n in [[3]]", "expected a set {a, b}, a range a..b or a network 10.0.0.0/8"},
        {"n in {1, 2[[]]", "the expression ends where '}' is expected"},
        {"n in 9[[..]]1", "the range is empty"},
        {"n [[=]] 1", "unexpected '='; did you mean '=='?"},
        {"n [[#]]", "unexpected character"},
        {"[[08]]", "malformed number"},
        {"[[0xg]]", "malformed number"},
        {"[[1.5]]", "a fraction is compared with columns that have one only"},
        {"[[1.5x]]", "malformed number; no unit 'x'; units are ns us ms s and k M G T"},
        {"[[99999999999999999999]]", "the number has more than 64 bits"},
        {"[['a]]b'", "malformed character; texts are in double quotes"},
        {"[[']]'", "malformed character; texts are in double quotes"},
        {"[[']]", "malformed character; texts are in double quotes"},
        {"\"[[\\q]]\"", "unknown escape sequence"},
        {"[[foo]](1)", "unknown function 'foo'"},
        {"[[STRCM]](\"a\", arg1)", "unknown function 'STRCM'; did you mean 'STRCMP'?"},
        {"STRCMP([[arg1]], arg2)", "STRCMP(\"text\", value): expected a text in double quotes"},
        {"[[str]]()", "str() takes 1 or 2 arguments"},
        {"str(arg1, [[5000]])", "expected a size of 1 to 4096"},
        {"([[struct sok]] *)arg1", "unknown type 'struct sok'; did you mean 'struct sock'?"},
        {"(struct)[[arg1]]", "unexpected 'arg1'"},
        {"(strct [[sock]] *)arg1", "expected ')'"},
        {"sizeof([[struct gone]])", "unknown type 'struct gone'"},
        {"offsetof(struct sock, [[foo]])",
         "no member 'foo' in struct sock; its members: __sk_common, sk_state, sk_name, sk_load, "
         "sk_flags, sk_gone"},
        {"[[&]]sk->__sk_common.skc_reuse", "a bitfield has no address"},
        {"[[&]]n", "'&' needs something in memory"},
        {"[[*]]n", "'*' needs a pointer, this is 'int'"},
        {"[[*]](void *)arg1",
         "the pointer does not say to what it points; cast it: *(unsigned int *)pointer"},
        {"n[[[]]1]", "'[' needs an array or a pointer, this is 'int'"},
        {"n [[/]] 0", "division by zero"},
        {"enum([[foo]], n)", "unknown type 'foo'"},
        {"flags([[sock]], n)", "'struct sock' is no enumeration"},
        {"arg1@[[usr]]", "unknown space 'usr'; '@user' or '@kernel'"},
        {"[[10.0.0.1]]", "an address as it is written is no value"},
        {"[[10.0.0.0/33]]", "no such prefix length; 0 to 32"},
        {"[[comm]] == 10.0.0.1", "an address of 16 bytes is compared with 'char[16]'"},
        {"lat_us == [[1.0001]]", "never equal: the column has no such fraction"},
        {"n > [[1.5]]", "a fraction is compared with columns that have one only"},
        {"sk [[+]] sk", "two pointers cannot be added"},
        {"[[-]]sk", "'sk' is a pointer"},
        {"[[(]]struct sock)arg1", "no value can be cast to 'struct sock'; a pointer to it can"},
        {"[[\"abc\"]]", "a text as it is written is no value"},
        {"lat_us > [[99999999999999s]]", "the number has more than 64 bits"},
        {"1[[..]]2", "unexpected '..'"},
        {"sk->[[]]", "the expression ends where a member's name is expected"},
        {"sk->[[1]]", "expected a member's name"},
        {"n [[?]] comm : 1", "'?:' chooses between a pointer and a number; cast one of them"},
        {"mac([[n]])", "this is no address but 'int'"},
        {"buf([[sk->sk_name]], 17)", "this has 16 bytes only, not 17"},
        {"[[ip]](n) == \"a\"", "a text is compared with a text, this is 'unsigned int'"},
        {"[[$entry]](1, 2)", "unknown function '$entry'"},
    };
    expect_errors(all);
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

TEST_F(ExprParse, PointsIntoLongTexts)
{
    const std::string text = cat(std::string(200, ' '), "\tfoo\x01", std::string(200, ' '));
    const TextError error(201, 3, "unknown name 'foo'");
    EXPECT_EQ(point_at(text, error), cat("...", std::string(60, ' '), "foo?", std::string(39, ' '),
                                         "...\n", std::string(63, ' '), "^^^\nunknown name 'foo'"));
    EXPECT_EQ(point_at("", TextError(5, 9, "x", "y")), "\n^\nx; y");
}

// Whatever it is: an answer or a message, at once, with little stack.
TEST_F(ExprParse, HostileTexts)
{
    EXPECT_THAT(value(std::string(20000, 'a')), testing::HasSubstr("longer than 16384 bytes"));
    for (const std::string_view part : {"(",
                                        "!",
                                        "-",
                                        "*",
                                        "[",
                                        "n[",
                                        "sk->",
                                        "n?",
                                        "n?1:",
                                        "{",
                                        "n in {",
                                        "(int)",
                                        "(struct sock *)",
                                        "sizeof",
                                        "sizeof(",
                                        "n+",
                                        "str(",
                                        "\"",
                                        "'",
                                        "::",
                                        "0x",
                                        "a.",
                                        "n,",
                                        "..",
                                        "@user"}) {
        std::string text;
        while (text.size() + part.size() < 16000)
            text += part;
        for (const std::string_view end : {"", "n", "n)"}) {
            const std::string answer = value(cat(text, end));
            EXPECT_THAT(answer, testing::HasSubstr("^")) << part;
        }
    }
    std::string sum = "n", either = "n == 0";
    for (int i = 0; i < 300; i++)
        sum += " + n";
    for (int i = 1; i < 1500; i++)
        either += cat("||n==", i);
    EXPECT_THAT(value(sum), testing::Not(testing::HasSubstr("^")));
    EXPECT_THAT(condition(either), testing::Not(testing::HasSubstr("^")));

    // Words in any order.
    constexpr std::string_view kWords[] = {"n",
                                           "sk",
                                           "arg1",
                                           "comm",
                                           "lat_us",
                                           "->",
                                           ".",
                                           "sk_name",
                                           "__sk_common",
                                           "[",
                                           "]",
                                           "(",
                                           ")",
                                           "{",
                                           "}",
                                           "in",
                                           "..",
                                           ",",
                                           "?",
                                           ":",
                                           "&&",
                                           "||",
                                           "!",
                                           "~",
                                           "=~",
                                           "==",
                                           "!=",
                                           "<",
                                           ">=",
                                           "<<",
                                           "+",
                                           "-",
                                           "*",
                                           "/",
                                           "%",
                                           "&",
                                           "|",
                                           "^",
                                           "1",
                                           "0",
                                           "5ms",
                                           "1.5",
                                           "4k",
                                           "\"a\"",
                                           "'a'",
                                           "10.0.0.1/8",
                                           "::1",
                                           "struct",
                                           "sock",
                                           "int",
                                           "sizeof",
                                           "str",
                                           "ip",
                                           "buf",
                                           "defined",
                                           "STRCMP",
                                           "offsetof",
                                           "container_of",
                                           "enum",
                                           "flags",
                                           "tcp_state",
                                           "@",
                                           "user",
                                           "$task",
                                           "=",
                                           "-1",
                                           "18446744073709551615",
                                           "0x8000000000000000",
                                           "__user",
                                           "unsigned",
                                           "void",
                                           "sk_load"};
    std::uint64_t random = 42;
    const auto next = [&random](std::uint64_t below) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        return (random >> 33) % below;
    };
    unsigned good = 0;
    for (int i = 0; i < 5'000; i++) {
        std::string text;
        for (std::uint64_t words = 1 + next(12); words > 0; words--)
            text += cat(kWords[next(std::size(kWords))], next(2) ? " " : "");
        Code code(types_);
        try {
            parse_value(code, names(), text);
            good++;
        } catch (const TextError& error) {
            ASSERT_LE(error.at, text.size()) << text;
            ASSERT_GE(error.length, 1u) << text;
        }
    }
    EXPECT_GT(good, 50u);
    EXPECT_LT(good, 2'500u);
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
