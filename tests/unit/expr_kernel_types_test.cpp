// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Types, functions and tracepoints of a kernel made here, and of the kernels in the cache.
#include "expr/build.hpp"
#include "expr/kernel_types.hpp"
#include "expr/parse.hpp"
#include "expr_print.hpp"
#include <bpf/btf.h>
#include <cstdlib>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace corebox::expr
{
namespace
{

struct Free {
    void operator()(btf* b) const { btf__free(b); }
};
using Btf = std::unique_ptr<btf, Free>;

std::span<const std::byte> raw(const Btf& b)
{
    __u32 size = 0;
    const void* data = btf__raw_data(b.get(), &size);
    return {static_cast<const std::byte*>(data), size};
}

// struct node { struct node *next; struct node *__rcu child; char name[8]; unsigned int a:3, b:13;
//               union { u16 port; struct { u8 low, high; }; }; enum state state; void (*call)();
//               double share; struct gone *gone; u32 table[2][3]; };
class ExprKernelTypes : public testing::Test
{
protected:
    void SetUp() override
    {
        btf* b = b_.get();
        const int integer = btf__add_int(b, "int", 4, BTF_INT_SIGNED),
                  unsigned_int = btf__add_int(b, "unsigned int", 4, 0),
                  chars = btf__add_int(b, "char", 1, BTF_INT_SIGNED),
                  byte = btf__add_int(b, "unsigned char", 1, 0),
                  half = btf__add_int(b, "unsigned short", 2, 0),
                  real = btf__add_float(b, "double", 8),
                  name = btf__add_array(b, unsigned_int, chars, 8),
                  u8 = btf__add_typedef(b, "u8", byte),
                  u32 = btf__add_typedef(b, "u32", unsigned_int),
                  row = btf__add_array(b, unsigned_int, u32, 3),
                  table = btf__add_array(b, unsigned_int, row, 2);
        const int state = btf__add_enum(b, "state", 4);
        btf__add_enum_value(b, "STATE_OFF", 0);
        btf__add_enum_value(b, "STATE_BAD", -1);
        btf__add_enum64(b, "wide", 8, false);
        btf__add_enum64_value(b, "WIDE_TOP", 1ull << 40);
        const int proto = btf__add_func_proto(b, 0), call = btf__add_ptr(b, proto);
        const int gone = btf__add_ptr(b, btf__add_fwd(b, "gone", BTF_FWD_STRUCT));
        const int halves = btf__add_struct(b, nullptr, 2);
        btf__add_field(b, "low", u8, 0, 0);
        btf__add_field(b, "high", u8, 8, 0);
        const int either = btf__add_union(b, nullptr, 2);
        btf__add_field(b, "port", half, 0, 0);
        btf__add_field(b, nullptr, halves, 0, 0);
        // A structure's own pointers: to an id that follows.
        const int next_id = int(btf__type_cnt(b)), node_id = next_id + 3;
        const int next = btf__add_ptr(b, node_id);
        const int tag = btf__add_type_tag(b, "rcu", node_id), child = btf__add_ptr(b, tag);
        node_ = btf__add_struct(b, "node", 88);
        ASSERT_EQ(node_, node_id);
        btf__add_field(b, "next", next, 0, 0);
        btf__add_field(b, "child", child, 64, 0);
        btf__add_field(b, "name", name, 128, 0);
        btf__add_field(b, "a", unsigned_int, 192, 3);
        btf__add_field(b, "b", unsigned_int, 195, 13);
        btf__add_field(b, nullptr, either, 208, 0);
        btf__add_field(b, "state", state, 224, 0);
        btf__add_field(b, "call", call, 256, 0);
        btf__add_field(b, "share", real, 320, 0);
        btf__add_field(b, "gone", gone, 384, 0);
        btf__add_field(b, "table", table, 448, 0);
        const int user = btf__add_type_tag(b, "user", chars), text = btf__add_ptr(b, user);
        const int parameters = btf__add_func_proto(b, integer);
        btf__add_func_param(b, "node", next);
        btf__add_func_param(b, "path", text);
        function_ = btf__add_func(b, "do_node", BTF_FUNC_STATIC, parameters);
        const int data = btf__add_ptr(b, 0), traced = btf__add_func_proto(b, 0);
        btf__add_func_param(b, "__data", data);
        btf__add_func_param(b, "node", next);
        btf__add_func_param(b, "preempt", integer);
        tracepoint_ = btf__add_typedef(b, "btf_trace_node_switch", btf__add_ptr(b, traced));
        kernel_ = std::make_unique<KernelBtf>(raw(b_));
        known_ = std::make_unique<KernelTypes>(types_, *kernel_);
        types_.add_source(known_->source());
    }

    std::string value(std::string_view text)
    {
        Code code(types_);
        const Names names{.find = [this](Code& c, std::string_view name) {
            return name == "node" ? make_load(c, make_context(c), 0,
                                              known_->find_function("do_node")->parameters[0].type)
                                  : NodeId::none;
        }};
        try {
            return print(code, parse_value(code, names, text).node);
        } catch (const TextError& error) {
            return cat(error.what(), "; ", error.hint);
        }
    }
    std::int64_t walk(std::uint32_t offset, std::uint32_t size)
    {
        return known_->structs().walk(std::uint32_t(node_), offset, size);
    }

    Btf b_{btf__new_empty()};
    int node_ = 0, function_ = 0, tracepoint_ = 0;
    std::unique_ptr<KernelBtf> kernel_;
    Types types_;
    std::unique_ptr<KernelTypes> known_;
};

TEST_F(ExprKernelTypes, Members)
{
    const std::pair<const char*, const char*> all[] = {
        {"node->next->name", "text([[ctx]:struct node*k]:struct node*k+16, 8)"},
        {"node->a", "[[ctx]:struct node*k+24]:u32{0+3/1}"},
        {"node->b", "[[ctx]:struct node*k+24]:u32{3+13/2}"},
        {"node->high", "[[ctx]:struct node*k+27]:u8"},
        {"node->state == STATE_BAD", "([[ctx]:struct node*k+28]:s32 == -1)"},
        {"node->call == 0", "([[ctx]:struct node*k+32]:void*k == 0:void*k)"},
        {"node->table[1][2]", "[[ctx]:struct node*k+76]:u32"},
        {"node->share", "floating-point values are not supported, this is 'double'; "},
        {"node->gone->x", "no member 'x' in struct gone, of which only the name is known; "},
        {"WIDE_TOP", "1099511627776:s64"},
        {"sizeof(struct node)", "88:u64"},
        {"((struct nod *)0)->a", "unknown type 'struct nod'; did you mean 'struct node'?"},
        {"(enum wide)3", "3:u64"},
        {"enum(state, 1)", "1"},
    };
    for (const auto& [text, form] : all)
        EXPECT_EQ(value(text), form) << text;
}

TEST_F(ExprKernelTypes, FunctionsAndTracepoints)
{
    const auto describe = [&](const std::optional<KernelFunction>& f) {
        if (!f)
            return std::string("none");
        std::string text = cat(f->name, "@", f->id, "(");
        for (const Parameter& p : f->parameters)
            text += cat(p.name, ":", short_type(types_, p.type), " ");
        return cat(text, ")", short_type(types_, f->result));
    };
    EXPECT_EQ(describe(known_->find_function("do_node")),
              cat("do_node@", function_, "(node:struct node*k path:char*u )s32"));
    EXPECT_EQ(describe(known_->find_function("do_nothing")), "none");
    EXPECT_EQ(describe(known_->find_tracepoint("node_switch")),
              cat("node_switch@", tracepoint_, "(node:struct node*k preempt:s32 )void"));
    const std::string names[] = {"none", "do_node"};
    EXPECT_EQ(known_->find_functions(names).size(), 1u);
}

// As btf_struct_walk() of the kernel.
TEST_F(ExprKernelTypes, WhatTheVerifierMakesOfALoad)
{
    constexpr auto kNumber = KernelStructs::kNumber, kRefused = KernelStructs::kRefused;
    const struct {
        std::uint32_t offset, size;
        std::int64_t result;
    } all[] = {
        {0, 8, node_},     // next
        {0, 4, kRefused},  // half of a pointer
        {8, 8, kNumber},   // child has a tag
        {16, 1, kNumber},  // name
        {16, 8, kNumber},  // all of it
        {20, 8, kRefused}, // and more
        {24, 1, kNumber},  // a
        {24, 2, kNumber},  // a and b
        {26, 2, kNumber},  // port
        {27, 1, kNumber},  // half of port
        {28, 4, kNumber},  // state
        {32, 8, kNumber},  // call
        {48, 8, kNumber},  // gone
        {76, 4, kNumber},  // table[1][2]
        {76, 8, kRefused}, // its end
        {80, 8, kRefused}, // padding
        {88, 4, kRefused}, // behind it
        {0xfffffffc, 8, kRefused},
    };
    for (const auto& [offset, size, result] : all)
        EXPECT_EQ(walk(offset, size), result) << offset << " " << size;
    EXPECT_EQ(known_->structs().walk(0, 0, 4), kRefused);
    EXPECT_EQ(known_->structs().walk(9999, 0, 4), kRefused);
}

// Types that contain themselves, and bytes that are no BTF: nothing is found, nothing hangs.
TEST(ExprKernelTypesMalformed, EndsSomewhere)
{
    const Btf b(btf__new_empty());
    const int self = btf__add_typedef(b.get(), "self", 1); // of itself
    btf__add_ptr(b.get(), 2);                              // to itself
    btf__add_struct(b.get(), "whole", 8);                  // has itself, without a name
    btf__add_field(b.get(), nullptr, 3, 0, 0);
    btf__add_array(b.get(), 4, 4, 2); // of itself
    ASSERT_EQ(self, 1);
    KernelBtf kernel(raw(b));
    Types types;
    KernelTypes known(types, kernel);
    types.add_source(known.source());
    EXPECT_TRUE(types.find("", "self"));
    const auto whole = types.find("struct", "whole");
    ASSERT_TRUE(whole);
    EXPECT_FALSE(types.member(*whole, "x"));
    EXPECT_THAT(types.member_names(*whole), testing::IsEmpty());
    EXPECT_EQ(known.structs().walk(3, 0, 4), KernelStructs::kRefused);

    const std::byte nothing[100]{};
    KernelBtf empty{std::span<const std::byte>(nothing)};
    KernelTypes none(types, empty);
    EXPECT_FALSE(none.find_function("x"));
    EXPECT_FALSE(none.find_tracepoint("x"));
    EXPECT_FALSE(none.source().find("struct", "x"));
    EXPECT_FALSE(none.source().constant("X"));
}

class ExprKernels : public testing::TestWithParam<const char*>
{
};

TEST_P(ExprKernels, KnownTypes)
{
    const char* cache = std::getenv("COREBOX_CACHE");
    const char* home = std::getenv("HOME");
    const std::string path =
        cat(cache ? std::string(cache) : cat(home ? home : "", "/.cache/corebox"), "/kernels/",
            GetParam(), "/vmlinux");
    if (::access(path.c_str(), R_OK) != 0)
        GTEST_SKIP() << path << " is not there; scripts/kernels fetches it";
    const Btf b(btf__parse(path.c_str(), nullptr));
    ASSERT_TRUE(b);
    KernelBtf kernel(raw(b));
    Types types;
    KernelTypes known(types, kernel);
    types.add_source(known.source());
    const auto send = known.find_function("tcp_sendmsg");
    ASSERT_TRUE(send);
    ASSERT_EQ(send->parameters.size(), 3u);
    EXPECT_EQ(types[send->result].name, "int");
    const Names names{.find = [&](Code& c, std::string_view name) {
        return name == "sk" ? make_load(c, make_context(c), 0, send->parameters[0].type, true)
                            : NodeId::none;
    }};
    Code code(types);
    // Each load on the way is one that the verifier takes.
    const auto loads = [&](std::string_view text) {
        std::string out;
        for (NodeId id = parse_value(code, names, text).node; code[id].a != NodeId::none;
             id = code[id].a)
            if (const Type& from = code.type(code[id].a); code[id].op == Op::load &&
                                                          from.kind == Type::Kind::pointer &&
                                                          code[code[id].a].op == Op::load) {
                const std::int64_t to = known.structs().walk(
                    types[from.target].kernel_id, std::uint32_t(code[id].value), code[id].size);
                out += to < 0 ? "refused " : to == 0 ? "number " : "pointer ";
            }
        return out;
    };
    EXPECT_EQ(loads("sk->__sk_common.skc_dport"), "number ");
    EXPECT_EQ(loads("sk->__sk_common.skc_daddr"), "number ");
    EXPECT_EQ(loads("sk->sk_socket->file->f_inode->i_ino"), "number pointer pointer pointer ");
    EXPECT_EQ(loads("sk->__sk_common.skc_net.net->ns.inum"), "number pointer ");
    EXPECT_EQ(loads("((struct inet_sock *)sk)->inet_sport"), "refused ");
    EXPECT_EQ(types.constant("BPF_MAP_TYPE_RINGBUF"), 27);
}

INSTANTIATE_TEST_SUITE_P(Cached, ExprKernels, testing::Values("5.10", "6.1", "6.12", "7.2"));

} // namespace
} // namespace corebox::expr
