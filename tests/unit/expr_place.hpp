// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A place whose names expressions use, for the tests of the parser.
#pragma once
#include "expr/build.hpp"
#include "expr/parse.hpp"
#include "expr_print.hpp"
#include <gtest/gtest.h>

namespace corebox::expr
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
                [](Code&, std::string_view name, std::span<const NodeId> arguments) {
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

} // namespace corebox::expr
