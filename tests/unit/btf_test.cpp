// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The kernel's types, found and extracted for relocations.
#include "base/text.hpp"
#include "kernel/btf.hpp"
#include <algorithm>
#include <bpf/btf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>

namespace corebox
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

// As a kernel's: many types, of which few are asked for.
class Kernel : public testing::Test
{
protected:
    void SetUp() override
    {
        number_ = btf__add_int(b_.get(), "int", 4, BTF_INT_SIGNED);
        for (int i = 0; i < 20'000; i++)
            ASSERT_GT(btf__add_typedef(b_.get(), cat("filler_", i).c_str(), number_), 0);
        inner_ = btf__add_struct(b_.get(), "inner", 8);
        btf__add_field(b_.get(), "wanted", number_, 0, 0);
        btf__add_field(b_.get(), "other", number_, 32, 0);
        pointer_ = btf__add_ptr(b_.get(), inner_);
        outer_ = btf__add_struct(b_.get(), "outer", 24);
        btf__add_field(b_.get(), "unasked", number_, 0, 0);
        btf__add_field(b_.get(), "in", inner_, 64, 0);
        btf__add_field(b_.get(), "next", pointer_, 128, 0);
        twin_ = btf__add_struct(b_.get(), "inner", 4);
        proto_ = btf__add_func_proto(b_.get(), 0);
        function_ = btf__add_func(b_.get(), "do_it", BTF_FUNC_STATIC, proto_);
        last_ = btf__add_typedef(b_.get(), "z", number_); // the shortest name, the last string
    }

    Btf b_{btf__new_empty()};
    int number_ = 0, inner_ = 0, pointer_ = 0, outer_ = 0, twin_ = 0, proto_ = 0, function_ = 0,
        last_ = 0;
};

TEST_F(Kernel, FindsAllTypesOfAKindAndName)
{
    KernelBtf kernel(raw(b_));
    ASSERT_FALSE(kernel.empty());
    KernelBtf::Name names[] = {
        {BTF_KIND_STRUCT, "inner"},         {BTF_KIND_FUNC, "do_it"},
        {BTF_KIND_STRUCT, "do_it"},         {BTF_KIND_TYPEDEF, "z"},
        {BTF_KIND_TYPEDEF, "filler_0"},     {BTF_KIND_TYPEDEF, "filler_19999"},
        {BTF_KIND_TYPEDEF, "filler_20000"}, {BTF_KIND_INT, "int"}};
    kernel.find(names);
    using testing::ElementsAre;
    EXPECT_THAT(names[0].ids, ElementsAre(inner_, twin_));
    EXPECT_THAT(names[1].ids, ElementsAre(function_));
    EXPECT_THAT(names[2].ids, ElementsAre());
    EXPECT_THAT(names[3].ids, ElementsAre(last_));
    EXPECT_THAT(names[4].ids, ElementsAre(number_ + 1));
    EXPECT_THAT(names[5].ids, ElementsAre(number_ + 20'000));
    EXPECT_THAT(names[6].ids, ElementsAre());
    EXPECT_THAT(names[7].ids, ElementsAre(number_));
}

// What is expected is found with the first names; it is the same, and so is what comes later.
TEST_F(Kernel, RemembersWhatWasExpected)
{
    KernelBtf kernel(raw(b_));
    kernel.expect({{BTF_KIND_FUNC, "do_it"}, {BTF_KIND_STRUCT, "inner"}, {0, "in"}});
    kernel.expect({{BTF_KIND_STRUCT, "none"}, {BTF_KIND_FUNC, "do_it"}});
    KernelBtf::Name first[] = {{BTF_KIND_TYPEDEF, "z"}};
    kernel.find(first);
    KernelBtf::Name second[] = {{BTF_KIND_STRUCT, "inner"}, {BTF_KIND_FUNC, "do_it"},
                                {BTF_KIND_STRUCT, "none"},  {BTF_KIND_FUNC, "do_it"},
                                {BTF_KIND_TYPEDEF, "z"},    {0, "in"}};
    KernelBtf::Name third[] = {{BTF_KIND_TYPEDEF, "filler_7"}, {BTF_KIND_FUNC, "do_it"}};
    kernel.find(second);
    kernel.find(third);
    using testing::ElementsAre;
    EXPECT_THAT(first[0].ids, ElementsAre(last_));
    EXPECT_THAT(second[0].ids, ElementsAre(inner_, twin_));
    EXPECT_THAT(second[1].ids, ElementsAre(function_));
    EXPECT_THAT(second[2].ids, ElementsAre());
    EXPECT_THAT(second[3].ids, ElementsAre(function_));
    EXPECT_THAT(second[4].ids, ElementsAre(last_));
    EXPECT_THAT(third[0].ids, ElementsAre(number_ + 8));
    EXPECT_THAT(third[1].ids, ElementsAre(function_));
}

TEST_F(Kernel, ExtractsWhatRelocationsLookAt)
{
    KernelBtf kernel(raw(b_));
    KernelBtf::Name names[] = {{BTF_KIND_STRUCT, "outer"}, {0, "in"}, {0, "next"}, {0, "wanted"}};
    kernel.find(names);
    const auto bytes = kernel.extract(names[0].ids);
    const Btf extract(btf__new(bytes.data(), __u32(bytes.size())));
    ASSERT_TRUE(extract);
    const auto describe = [&](const char* name) {
        const btf_type* t = btf__type_by_id(
            extract.get(), __u32(btf__find_by_name_kind(extract.get(), name, BTF_KIND_STRUCT)));
        std::string text = cat(t->size);
        for (unsigned m = 0; m < btf_vlen(t); m++)
            text += cat(" ", btf__name_by_offset(extract.get(), btf_members(t)[m].name_off), "@",
                        btf_members(t)[m].offset);
        return text;
    };
    EXPECT_EQ(describe("outer"), "24 in@64 next@128");
    EXPECT_EQ(describe("inner"), "8 wanted@0");
    EXPECT_LT(btf__type_cnt(extract.get()), 8u);
}

TEST(KernelBtf, IsEmptyWithoutBtf)
{
    const std::byte nothing[100]{};
    EXPECT_TRUE(KernelBtf(nothing).empty());
    EXPECT_TRUE(KernelBtf(std::span(nothing).first(3)).empty());
}

TEST(KernelBtf, Members)
{
    const Btf b(btf__new_empty());
    const int number = btf__add_int(b.get(), "int", 4, BTF_INT_SIGNED);
    btf__add_struct(b.get(), "entity", 8);
    btf__add_field(b.get(), "weight", number, 0, 0);
    btf__add_struct(b.get(), "queue", 8);
    btf__add_field(b.get(), "length", number, 0, 0);
    __u32 size = 0;
    const auto* raw = static_cast<const std::byte*>(btf__raw_data(b.get(), &size));
    KernelBtf types(std::span(raw, size));
    EXPECT_EQ(types.member("queue.length"), Answer::yes);
    EXPECT_EQ(types.member("entity.length"), Answer::no);
    EXPECT_EQ(types.member("entity.weight"), Answer::yes);
    EXPECT_EQ(types.member("none.weight"), Answer::no);
    EXPECT_EQ(KernelBtf(std::span<const std::byte>()).member("queue.length"), Answer::unknown);
}

TEST(RelocatedNames, AreOfTypesAndMembersWithoutFlavours)
{
    const Btf b(btf__new_empty());
    const int number = btf__add_int(b.get(), "int", 4, BTF_INT_SIGNED);
    btf__add_struct(b.get(), "task___v7", 4);
    btf__add_field(b.get(), "pid", number, 0, 0);
    btf__add_enum(b.get(), "kind", 4);
    btf__add_enum_value(b.get(), "KIND_A", 0);
    std::vector<std::string> found;
    for (const KernelBtf::Name& n : relocated_names(b.get()))
        found.push_back(cat(n.kind, n.name));
    EXPECT_THAT(found, testing::UnorderedElementsAre(cat(int(BTF_KIND_STRUCT), "task"), "0pid",
                                                     cat(int(BTF_KIND_ENUM), "kind"), "0KIND_A"));
}

} // namespace
} // namespace corebox
