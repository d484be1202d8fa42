// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What programs, and the kernel, allocate and do not free.
#include "harness.hpp"
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <malloc.h>
#include <new>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

// The kernel follows frame pointers.
#define FRAME [[gnu::noinline, gnu::noipa, gnu::optimize("no-optimize-sibling-calls")]]

namespace
{
void* volatile kept[4096];
int n = 0;
template <class T>
void keep(T* p)
{
    kept[n++] = p;
}
} // namespace

extern "C" {
FRAME void cbtest_leak_malloc()
{
    for (std::size_t i = 0; i < 100; i++)
        keep(std::malloc(1000 + i));
}
FRAME void cbtest_leak_none()
{
    for (int i = 0; i < 500; i++) {
        void* volatile p = std::malloc(64);
        std::free(p);
    }
}
FRAME void cbtest_leak_calloc()
{
    for (int i = 0; i < 50; i++)
        keep(std::calloc(10, 30));
}
FRAME void cbtest_leak_realloc()
{
    for (int i = 0; i < 20; i++) {
        void* volatile p = std::malloc(10);
        for (std::size_t j = 1; j <= 5; j++)
            p = std::realloc(p, 1000 * j);
        keep(static_cast<void*>(p));
    }
}
FRAME void cbtest_leak_aligned()
{
    for (int i = 0; i < 10; i++) {
        void* p = nullptr;
        if (::posix_memalign(&p, 4096, 5000) != 0)
            std::abort();
        keep(p);
        keep(::aligned_alloc(64, 640));
        keep(::memalign(128, 256));
    }
}
FRAME void cbtest_leak_array()
{
    for (int i = 0; i < 10; i++)
        keep(::reallocarray(nullptr, 20, 50));
}
FRAME void cbtest_leak_copies()
{
    for (int i = 0; i < 30; i++)
        keep(::strdup("0123456789"));
}
FRAME void cbtest_leak_maps()
{
    for (int i = 0; i < 10; i++)
        keep(::mmap(nullptr, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    void* p = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ::munmap(p, 4096);
}
FRAME void cbtest_leak_new()
{
    for (int i = 0; i < 7; i++)
        keep(new char[100]);
    for (int i = 0; i < 5; i++) {
        char* volatile p = new char[100];
        delete[] p;
    }
}
// What leaves as it came: failures, another thread's free, an address in use again.
FRAME void cbtest_leak_special()
{
    volatile std::size_t huge = std::size_t(1) << 62;
    void* volatile p = std::malloc(huge);
    if (p)
        std::abort();
    p = std::malloc(77);
    if (std::realloc(p, huge)) // p is what it was
        std::abort();
    keep(static_cast<void*>(p));
    void* volatile moved = std::malloc(33);
    std::thread([&] { std::free(moved); }).join();
}
}

namespace
{

using namespace corebox::test;
using std::to_string;

void leak_all()
{
    n = 0;
    cbtest_leak_malloc();
    cbtest_leak_none();
    cbtest_leak_calloc();
    cbtest_leak_realloc();
    cbtest_leak_aligned();
    cbtest_leak_array();
    cbtest_leak_copies();
}

std::uint64_t sum(const Records& records, const char* key)
{
    std::uint64_t total = 0;
    for (const Json& record : records)
        total += record.at(key).get<std::uint64_t>();
    return total;
}

// The rows whose user stack has this function.
Records of(const Records& records, const std::string& function)
{
    Records found;
    for (const Json& record : records)
        if (record.at("user").is_array())
            for (const Json& frame : record.at("user"))
                if (frame == function) {
                    found.push_back(record);
                    break;
                }
    return found;
}

void expect_leaks(const Records& records, const std::string& function, std::uint64_t count,
                  std::uint64_t bytes)
{
    const Records rows = of(records, function);
    EXPECT_EQ(sum(rows, "count"), count) << function;
    EXPECT_EQ(sum(rows, "bytes"), bytes) << function;
}

using MemleakRung = EachRung;
INSTANTIATE_TEST_SUITE_P(Rungs, MemleakRung, testing::Values("", "uprobe"), rung_name);

TEST_P(MemleakRung, ExactlyWhatIsNotFreed)
{
    Child child([] {
        leak_all();
        ::_exit(0);
    });
    Tracer tracer({"memleak", "--json", "-C", "-T", "1000", "-p", to_string(child.pid()), "3600"},
                  env());
    child.go_wait();
    const Result result = tracer.wait();
    expect_exact(result);
    // With the mapping that malloc() keeps to itself there is nothing but these.
    EXPECT_EQ(sum(result.records, "count"), 240u) << result.out;
    EXPECT_EQ(sum(result.records, "bytes"), 289'240u) << result.out;
    expect_leaks(result.records, "cbtest_leak_malloc", 100, 104'950);
    expect_leaks(result.records, "cbtest_leak_calloc", 50, 15'000);
    expect_leaks(result.records, "cbtest_leak_realloc", 20, 100'000);
    expect_leaks(result.records, "cbtest_leak_aligned", 30, 58'960);
    expect_leaks(result.records, "cbtest_leak_array", 10, 10'000);
    // 660 malloc (100 + 500 + 20 + 10 in reallocarray + 30), of which 10 count with reallocarray().
    EXPECT_EQ(result.account.at("printed"), 100u + 500 + 20 + 100 + 50 + 30 + 10 + 30);
}

TEST(Memleak, MapsOperatorsAndSpecialCases)
{
    Gate first, second;
    Child child([&] {
        n = 0;
        cbtest_leak_maps();
        cbtest_leak_new();
        cbtest_leak_special();
        first.wait();
        for (int i = 0; i < n; i++) // the same addresses once more, by others
            if (kept[i] && ::malloc_usable_size(kept[i]) == 104) {
                std::free(kept[i]);
                kept[i] = nullptr;
            }
        second.wait();
        ::_exit(0);
    });
    Tracer tracer({"memleak", "--json", "-C", "-p", to_string(child.pid()), "2"});
    child.go();
    tracer.wait_for("cbtest_leak_special");
    first.open();
    second.open();
    EXPECT_EQ(child.wait(), 0);
    const Result result = tracer.wait();
    std::fputs(result.out.c_str(), stderr);
    std::fputs(result.err.c_str(), stderr);
    expect_exact(result);
}

} // namespace
