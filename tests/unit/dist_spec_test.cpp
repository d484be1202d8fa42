// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What argdist's operands are taken apart to.
#include "../../libbpf-tools/dynamic/dist_spec.hpp"
#include "base/text.hpp"
#include <gtest/gtest.h>
#include <random>

namespace
{

using namespace corebox;

std::string shape(std::string_view text)
{
    static constexpr const char* kUses[] = {"key", "by", "sum", "avg", "min", "max", "lhist"};
    try {
        const DistSpec spec(text);
        std::string out = cat(spec.probe->name.text);
        if (spec.probe->signature)
            out += cat("(", spec.probe->signature->text, ")");
        for (const DistSpec::Expression& e : spec.expressions) {
            out += cat(" | ", kUses[int(e.use)], " ", e.piece.text);
            if (e.type)
                out += cat(" : ", e.type->text);
            if (e.use == DistSpec::Use::linear)
                out += cat(" ", e.from, "..", e.to, "/", e.step);
            EXPECT_EQ(e.piece.text,
                      std::string_view(spec.text).substr(e.piece.at, e.piece.text.size()));
        }
        if (spec.filter)
            out += cat(" | if ", spec.filter->text);
        if (spec.has_label)
            out += cat(" # ", spec.label);
        return out;
    } catch (const expr::TextError& error) {
        EXPECT_LE(error.at, text.size());
        return cat("error at ", error.at, ": ", error.what());
    }
}

TEST(DistSpec, EveryExampleOfBccIsTakenApart)
{
    EXPECT_EQ(shape("p::__kmalloc(u64 size):u64:size"), "__kmalloc(u64 size) | key size : u64");
    EXPECT_EQ(shape("p:c:malloc(size_t size):size_t:size:size==16"),
              "malloc(size_t size) | key size : size_t | if size==16");
    EXPECT_EQ(shape("r:c:gets():char*:(char*)$retval#snooped strings"),
              "gets | key (char*)$retval : char* # snooped strings");
    EXPECT_EQ(shape("r::__kmalloc(size_t size):u64:$latency/$entry(size)#ns per byte"),
              "__kmalloc(size_t size) | key $latency/$entry0 : u64 # ns per byte");
    EXPECT_EQ(shape("p::__kmalloc(size_t size, gfp_t flags):size_t:size:flags==GFP_ATOMIC"),
              "__kmalloc(size_t size, gfp_t flags) | key size : size_t | if flags==GFP_ATOMIC");
    EXPECT_EQ(shape("p:c:write(int fd):int:fd"), "write(int fd) | key fd : int");
    EXPECT_EQ(shape("r:c:fork()#fork calls"), "fork # fork calls");
    EXPECT_EQ(shape("t:block:block_rq_complete():u32:args->nr_sector"),
              "block:block_rq_complete | key args->nr_sector : u32");
    EXPECT_EQ(shape("t:net:net_dev_start_xmit():u16:args->protocol"),
              "net:net_dev_start_xmit | key args->protocol : u16");
    EXPECT_EQ(shape("u:pthread:pthread_start():u64:arg2"), "pthread_start | key arg2 : u64");
    EXPECT_EQ(
        shape("p:c:write(int fd, const void *buf, size_t count):int,size_t:fd,count:$PID==1"),
        "write(int fd, const void *buf, size_t count) | key fd : int | key count : size_t | if "
        "$PID==1");
    EXPECT_EQ(shape("p:c:f(char *s):char*:s:STRCMP(\"a:b#c\", s)"),
              "f(char *s) | key s : char* | if STRCMP(\"a:b#c\", s)");
    EXPECT_EQ(shape("r::vfs_read()::$retval,by($comm),lhist(count, 0, 100, 10)"),
              "vfs_read | key $retval | by $comm | lhist count 0..100/10");
    EXPECT_EQ(shape("r::vfs_read():u64:$latency,by($comm)"),
              "vfs_read | key $latency : u64 | by $comm");
    const DistSpec entry("r::f(int a):int,int:$entry(a + 1),$retval");
    EXPECT_EQ(entry.written(entry.expressions[0].piece), "$entry(a + 1)");
    EXPECT_EQ(entry.entries.at(0).text, "a + 1");
    EXPECT_EQ(shape("r::vfs_read():$retval"), "vfs_read | key $retval");
    EXPECT_EQ(shape("p::f():(a ? b : c):x > 0"), "f | key x > 0 : (a ? b : c)");
    EXPECT_EQ(shape("p::f()"), "f");
}

TEST(DistSpec, ErrorsAndHostileTexts)
{
    EXPECT_EQ(shape("p::f"), "error at 0: expected a signature in parentheses behind the function");
    EXPECT_EQ(shape("p::f(:u32:x"), "error at 4: a parenthesis without an end");
    EXPECT_EQ(shape("t:a:b(int x)"), "error at 6: a tracepoint or USDT probe has no signature");
    EXPECT_EQ(shape("p::f():u32,u64:x"), "error at 7: 2 types for 1 expression");
    EXPECT_EQ(shape("p::f():u32:x:y:z"), "error at 14: more than types, expressions and a filter");
    EXPECT_EQ(shape("p::f():u32:x,"), "error at 12: an empty expression");
    EXPECT_EQ(shape("p::f():lhist(a, 0, 10, 0)"),
              "error at 7: lhist() needs from < to and at most 1000 steps");
    EXPECT_EQ(shape("p::f():x#a#b"), "error at 10: a second '#'");
    constexpr std::string_view kParts[] = {"p:", "t:", ":", "(", ")",      ",",   "#",
                                           "f",  "\"", "'", " ", "lhist(", "by(", "\xff"};
    std::mt19937 random(13);
    for (int i = 0; i < 10'000; i++) {
        std::string text;
        for (std::size_t n = random() % 16; n > 0; n--)
            text += kParts[random() % std::size(kParts)];
        shape(text);
    }
}

} // namespace
