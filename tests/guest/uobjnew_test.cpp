// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "runtime.hpp"
#include <cstdlib>

namespace
{

using namespace corebox::test;
using std::to_string;

class UobjnewRung : public EachRung
{
};
INSTANTIATE_TEST_SUITE_P(Rungs, UobjnewRung, testing::Values("", "uprobe"), rung_name);

Json row_of(const Result& result, const std::string& name)
{
    const auto rows = with(result.records, "name", name);
    EXPECT_EQ(rows.size(), 1u) << name << " in " << result.out;
    return rows.empty() ? Json() : rows[0];
}

TEST_P(UobjnewRung, ClassesOfRuby)
{
    if (!have_userland())
        GTEST_SKIP() << "no programs of users";
    const Result result = watch_program(kGcRuby, {"uobjnew"}, env());
    expect_exact(result);
    const Json foo = row_of(result, "Foo");
    EXPECT_EQ(foo.at("allocs"), 20);
    EXPECT_TRUE(foo.at("bytes").is_null());
    EXPECT_EQ(row_of(result, "RuntimeError").at("allocs"), 1);
}

void allocate(int times, std::size_t size)
{
    for (int i = 0; i < times; i++) {
        void* volatile memory = ::malloc(size);
        ::free(memory);
    }
}

// The program has its malloc() in itself.
TEST_P(UobjnewRung, BlocksOfC)
{
    constexpr int kFlood = 3000;
    Child child([] {
        allocate(7, 12345);
        allocate(kFlood, 54321);
    });
    Tracer tracer({"cobjnew", "--json", "-p", to_string(child.pid())}, env());
    child.go_wait();
    const Result result = tracer.wait();
    expect_exact(result);
    const Json block = row_of(result, "block size 12345");
    EXPECT_EQ(block.at("kind"), "block");
    EXPECT_EQ(block.at("size"), 12345);
    EXPECT_EQ(block.at("allocs"), 7);
    EXPECT_EQ(block.at("bytes"), 7 * 12345);
    EXPECT_EQ(row_of(result, "block size 54321").at("allocs"), kFlood);
}

TEST(Uobjnew, ClassesOfJava)
{
    if (!have_userland())
        GTEST_SKIP() << "no programs of users";
    const Result result = watch_program(gc_java({"-XX:+DTraceAllocProbes"}), {"javaobjnew"});
    expect_exact(result);
    EXPECT_EQ(row_of(result, "Gc$Thing").at("allocs"), 1000);
    EXPECT_GE(row_of(result, "[B").at("allocs"), 50'000);
    // This JVM does not say the size of what its compiled code allocates.
    EXPECT_TRUE(row_of(result, "Gc$Thing").at("bytes").is_null());
    expect_refused(gc_java(), {"uobjnew"}, "start it with -XX:+DTraceAllocProbes");
}

TEST(Uobjnew, TextAndBadInput)
{
    Child child([] {
        allocate(1, 300'001);
        allocate(5, 2003);
        allocate(2, 200'003);
    });
    Tracer tracer({"uobjnew", "-l", "c", "-S", "2", to_string(child.pid())});
    child.go_wait();
    const auto rows = lines(tracer.wait().out);
    using Words = std::vector<std::string>;
    ASSERT_EQ(rows.size(), 4u);
    EXPECT_EQ(words(rows[1]), (Words{"NAME/TYPE", "#", "ALLOCS", "#", "BYTES"}));
    EXPECT_EQ(words(rows[2]), (Words{"block", "size", "200003", "2", "400006"}));
    EXPECT_EQ(words(rows[3]), (Words{"block", "size", "300001", "1", "300001"}));
    EXPECT_EQ(run({"uobjnew"}).status, 1);
    const Result tcl = run({"tclobjnew"});
    EXPECT_EQ(tcl.status, 2);
    EXPECT_NE(tcl.err.find("use a Tcl built with --enable-dtrace"), std::string::npos) << tcl.err;
    EXPECT_EQ(run({"uobjnew", "-l", "python"}).status, 2);
}

} // namespace
