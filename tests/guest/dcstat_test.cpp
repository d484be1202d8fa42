// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include <fcntl.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

class DcstatRung : public EachRung
{
};

// Names in the working directory: each is one look-up, and no other is needed for it.
TEST_P(DcstatRung, CountsEachLookUp)
{
    const TempDir dir("/mnt/ext4");
    ASSERT_EQ(::chdir(dir.path().c_str()), 0);
    Child child([] {
        const auto each = [](const char* prefix, int n, auto&& use) {
            for (int i = 0; i < n; i++)
                use((prefix + to_string(i)).c_str());
        };
        const auto missing = [](const char* name) { EXPECT_EQ(::access(name, F_OK), -1); };
        const auto make = [](const char* name) {
            ::close(::open(name, O_CREAT | O_EXCL | O_WRONLY, 0600));
        };
        each("absent", 23, missing); // the file system is asked
        each("absent", 23, missing); // the cache knows that there are none
        each("new", 17, make);
        each("new", 17, [](const char* name) { EXPECT_EQ(::access(name, F_OK), 0); });
        each("nothing", 7, [](const char* name) { EXPECT_EQ(::open(name, O_RDONLY), -1); });
        each("none", 5, [](const char* name) { EXPECT_EQ(::unlink(name), -1); });
        each("new", 17, [](const char* name) { EXPECT_EQ(::unlink(name), 0); });
    });
    ASSERT_EQ(::chdir("/"), 0);
    Tracer tracer({"dcstat", "--json", "-p", to_string(child.pid()), "3600"}, env());
    child.go_wait();
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 0) << result.err;
    expect_exact(result);
    ASSERT_EQ(result.records.size(), 1u);
    const Json& r = result.records[0];
    const int misses = 23 + 17 + 7 + 5;
    EXPECT_EQ(r.at("refs"), misses + 23 + 17 + 17);
    EXPECT_EQ(r.at("misses"), misses);
    EXPECT_EQ(r.at("slow"), misses + 17); // unlink() does not walk to its last name
    EXPECT_NEAR(r.at("hit_percent").get<double>(), 100.0 * 57 / (57 + misses), 0.01);
}

INSTANTIATE_TEST_SUITE_P(Rungs, DcstatRung, testing::Values("", "kprobe"), rung_name);

TEST(Dcstat, PrintsALineAnInterval)
{
    Tracer tracer({"dcstat", "0.3", "3"});
    for (int i = 0; i < 1000; i++)
        ::access("/tmp/nothing/here", F_OK);
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 0) << result.err;
    const auto text = lines(result.out);
    ASSERT_EQ(text.size(), 4u) << result.out;
    EXPECT_EQ(words(text[0]),
              (std::vector<std::string>{"TIME", "REFS/s", "SLOW/s", "MISS/s", "HIT%"}));
    std::uint64_t refs = 0;
    for (std::size_t i = 1; i < text.size(); i++) {
        ASSERT_EQ(words(text[i]).size(), 5u) << text[i];
        refs += std::stoull(words(text[i])[1]);
    }
    EXPECT_GT(refs, 0u);
    EXPECT_EQ(run({"dcstat", "-p", "0"}).status, 1);
}

} // namespace
