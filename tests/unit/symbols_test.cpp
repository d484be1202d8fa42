// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/text.hpp"
#include "symbols/demangle.hpp"
#include "symbols/elf.hpp"
#include "symbols/flame.hpp"
#include "symbols/kernel.hpp"
#include "symbols/mapped_files.hpp"
#include "symbols/perf_map.hpp"
#include "symbols/stack.hpp"
#include "symbols/user.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <fstream>
#include <lzma.h>
#include <random>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

// Functions for the test to find in itself.
extern "C" __attribute__((noinline, used)) int corebox_symbols_test_c_function(int x)
{
    return x * 3 + 1;
}

namespace shapes
{
struct Circle {
    __attribute__((noinline, used)) int area(int radius, char) const { return radius * radius * 3; }
};
} // namespace shapes

namespace
{

using namespace corebox;

__attribute__((noinline, used)) int a_static_function(int x) { return x + 41; }

std::uint64_t address(auto* function) { return reinterpret_cast<std::uint64_t>(function); }

// --- kernel -------------------------------------------------------------------------------------

constexpr std::string_view kKallsyms = //
    "0000000000000000 A fixed_percpu_data\n"
    "ffffffff81000000 T _stext\n"
    "ffffffff81000000 T _text\n"
    "ffffffff81000100 t secret_helper\n"
    "ffffffff81000180 W weak_function\n"
    "ffffffff81000200 T vfs_read\n"
    "ffffffff81000280 T bpf_prog_alloc\n"
    "ffffffff81000300 T bpf_trace_run4\n"
    "ffffffff81000380 T __traceiter_sched_switch\n"
    "ffffffff81000400 T __schedule\n"
    "ffffffff81000800 T _etext\n"
    "ffffffff82000000 D some_data\n"
    "ffffffffc0300000 t nfs_open\t[nfs]\n"
    "ffffffffc0300100 T nfs_read\t[nfs]\n"
    "ffffffffc0200000 t ext4_fill\t[ext4]\n"
    "ffffffffc0200050 d ext4_data\t[ext4]\n"
    "ffffffffc0400000 t bpf_prog_6deef7357e7b4530_sched_switch\t[bpf]\n"
    "ffffffffc0401000 t bpf_trampoline_6442\t[bpf]\n"
    "ffffffffc0500000 t ftrace_trampoline\t[__builtin__ftrace]\n";

TEST(KernelSymbols, NamesTextOnly)
{
    KernelSymbols symbols = KernelSymbols::parse(kKallsyms);
    EXPECT_FALSE(symbols.restricted());
    EXPECT_EQ(symbols.size(), 16u);

    auto frame = symbols.lookup(0xffffffff81000205);
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->name, "vfs_read");
    EXPECT_EQ(frame->module, "");
    EXPECT_EQ(frame->offset, 5u);

    EXPECT_EQ(symbols.lookup(0xffffffff8100017f)->name, "secret_helper");
    EXPECT_EQ(symbols.lookup(0xffffffff81000180)->name, "weak_function");
    EXPECT_EQ(symbols.lookup(0xffffffff81000000)->name, "_stext") << "the first alias leads";
    EXPECT_EQ(symbols.address_of("vfs_read"), 0xffffffff81000200);
    EXPECT_EQ(symbols.address_of("_text"), 0xffffffff81000000);
    EXPECT_FALSE(symbols.address_of("vfs_rea"));
    EXPECT_FALSE(symbols.address_of("some_data"));
}

TEST(KernelSymbols, NamesModulesThatAreOutOfOrder)
{
    KernelSymbols symbols = KernelSymbols::parse(kKallsyms);
    auto ext4 = symbols.lookup(0xffffffffc0200060);
    ASSERT_TRUE(ext4);
    EXPECT_EQ(ext4->name, "ext4_fill");
    EXPECT_EQ(ext4->module, "ext4");
    EXPECT_EQ(ext4->offset, 0x60u);
    EXPECT_EQ(symbols.lookup(0xffffffffc0300100)->module, "nfs");
}

TEST(KernelSymbols, GivesNoNameToWhatIsNotText)
{
    KernelSymbols symbols = KernelSymbols::parse(kKallsyms);
    EXPECT_FALSE(symbols.lookup(0));
    EXPECT_FALSE(symbols.lookup(0x00007f0000001000));
    EXPECT_FALSE(symbols.lookup(0xffffffff81000900)) << "behind _etext";
    EXPECT_FALSE(symbols.lookup(0xffffffffffffffff));
}

TEST(KernelSymbols, TakesReturnAddressesBackToTheCall)
{
    KernelSymbols symbols = KernelSymbols::parse(kKallsyms);
    auto frame = symbols.lookup(0xffffffff81000280, At::return_address);
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->name, "vfs_read");
    EXPECT_EQ(frame->offset, 0x80u);
}

TEST(KernelSymbols, KnowsBpfProgramsByModuleNotByName)
{
    KernelSymbols symbols = KernelSymbols::parse(kKallsyms);
    EXPECT_TRUE(symbols.is_bpf(0xffffffffc0400010));
    EXPECT_TRUE(symbols.is_bpf(0xffffffffc0401010));
    EXPECT_FALSE(symbols.is_bpf(0xffffffff81000290));
    EXPECT_FALSE(symbols.is_bpf(0xffffffffc0300010));
}

TEST(KernelSymbols, FindsItsOwnFramesAboveAStack)
{
    KernelSymbols symbols = KernelSymbols::parse(kKallsyms);
    const std::uint64_t raw_tracepoint[] = {0xffffffffc0400010, 0xffffffff81000310,
                                            0xffffffff81000390, 0xffffffff81000410,
                                            0xffffffff81000210};
    EXPECT_EQ(symbols.own_frames(raw_tracepoint), 3u);
    const std::uint64_t fentry[] = {0xffffffffc0400010, 0xffffffffc0401020, 0xffffffff81000205};
    EXPECT_EQ(symbols.own_frames(fentry), 2u);
    // A trampoline that is gone, behind a module's last function; one that is there, of a module's.
    const std::uint64_t gone[] = {0xffffffffc0400010, 0xffffffffc0300010, 0xffffffff81000205};
    EXPECT_EQ(symbols.own_frames(gone), 2u);
    const std::uint64_t of_module[] = {0xffffffffc0400010, 0xffffffffc0401020, 0xffffffffc0300010};
    EXPECT_EQ(symbols.own_frames(of_module), 2u);
    const std::uint64_t kprobe[] = {0xffffffff81000200, 0xffffffff81000410};
    EXPECT_EQ(symbols.own_frames(kprobe), 0u);
    // No BPF frame: a function of the same kind as the glue is then the traced one.
    const std::uint64_t glue_only[] = {0xffffffff81000310, 0xffffffff81000410};
    EXPECT_EQ(symbols.own_frames(glue_only), 0u);
    EXPECT_EQ(symbols.own_frames({}), 0u);
}

TEST(KernelSymbols, SaysThatAddressesAreHidden)
{
    KernelSymbols symbols = KernelSymbols::parse("0000000000000000 T _stext\n"
                                                 "0000000000000000 t helper\n"
                                                 "0000000000000000 t nfs_open\t[nfs]\n");
    EXPECT_TRUE(symbols.restricted());
    EXPECT_FALSE(symbols.lookup(0));
    EXPECT_FALSE(symbols.lookup(0xffffffff81000000));
    EXPECT_FALSE(symbols.address_of("helper"));
}

TEST(KernelSymbols, SaysWhyAddressesAreHidden)
{
    constexpr std::string_view kZero = "0000000000000000 A fixed_percpu_data\n"
                                       "0000000000000000 T _stext\n";
    constexpr std::uint64_t kAll = ~0ull, kWithout = ~(1ull << 34); // CAP_SYSLOG
    EXPECT_EQ(why_names_hidden("0000000000000000 A fixed_percpu_data\n"
                               "ffffffff81000000 T _stext\n",
                               2, kAll),
              NamesHidden::no);
    EXPECT_EQ(why_names_hidden(kZero, 2, kAll), NamesHidden::by_sysctl);
    EXPECT_EQ(why_names_hidden(kZero, 2, kWithout), NamesHidden::by_sysctl);
    EXPECT_EQ(why_names_hidden(kZero, 1, kWithout), NamesHidden::by_capability);
    EXPECT_EQ(why_names_hidden(kZero, 0, kWithout), NamesHidden::by_capability);
    EXPECT_EQ(why_names_hidden(kZero, 1, kAll), NamesHidden::by_user_namespace);
    EXPECT_EQ(why_names_hidden(std::nullopt, 1, kAll), NamesHidden::no_file);
    EXPECT_EQ(why_names_hidden("", 1, kAll), NamesHidden::no_file);
    EXPECT_EQ(message_of(NamesHidden::by_sysctl),
              "kernel functions have no names: kernel.kptr_restrict is 2; "
              "sysctl kernel.kptr_restrict=1");
}

TEST(KernelSymbols, SurvivesAnything)
{
    EXPECT_TRUE(KernelSymbols::parse("").empty());
    EXPECT_TRUE(KernelSymbols::parse("\n\n]\n\t[]\nzzz T x\nffffffff81000000\n").empty());
    EXPECT_TRUE(KernelSymbols::load("/nonexistent").empty());
    KernelSymbols no_newline = KernelSymbols::parse("c0100000 T arm_function");
    EXPECT_EQ(no_newline.address_of("arm_function"), 0xc0100000);
    std::mt19937 random(1);
    for (int i = 0; i < 200; ++i) {
        std::string text(kKallsyms);
        for (int j = 0; j < 20; ++j)
            text[random() % text.size()] = static_cast<char>(random());
        KernelSymbols symbols = KernelSymbols::parse(text);
        symbols.lookup(random());
        symbols.own_frames(std::vector<std::uint64_t>{0xffffffffc0400010, random()});
    }
}

TEST(KernelSymbols, ReadsAFileInBlocksLikeAString)
{
    // Larger than the read buffer, so that lines straddle its end.
    std::string text;
    for (unsigned i = 0; i < 40000; ++i) {
        char line[80];
        std::snprintf(line, sizeof line, "%016lx t function_%u%s\n", 0xffffffff81000000ul + i * 64,
                      i, i % 3 == 0 ? "\t[module]" : "");
        text += line;
    }
    char path[] = "/tmp/corebox_kallsyms_XXXXXX";
    int fd = ::mkstemp(path);
    ASSERT_EQ(::write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    ::close(fd);
    KernelSymbols symbols = KernelSymbols::load(path);
    ::unlink(path);
    ASSERT_EQ(symbols.size(), 40000u);
    for (unsigned i = 0; i < 40000; i += 7) {
        auto frame = symbols.lookup(0xffffffff81000000ul + i * 64 + 9);
        ASSERT_TRUE(frame);
        ASSERT_EQ(frame->name, "function_" + std::to_string(i));
        ASSERT_EQ(frame->module, i % 3 == 0 ? "module" : "");
        ASSERT_EQ(frame->offset, 9u);
    }
}

// --- folding ------------------------------------------------------------------------------------

std::string folded(std::string_view comm, std::vector<StackFrame> user,
                   std::vector<StackFrame> kernel, std::uint64_t count, FoldOptions options = {})
{
    std::string line;
    append_folded(line, comm, user, kernel, count, options);
    return line;
}

const std::vector<StackFrame> kUser = {{"leaf", FrameKind::user}, {"main", FrameKind::user}};
const std::vector<StackFrame> kKernel = {{"vfs_read", FrameKind::kernel},
                                         {"do_syscall_64", FrameKind::kernel}};

TEST(Fold, IsOutermostFirst)
{
    EXPECT_EQ(folded("cat", kUser, kKernel, 7), "cat;main;leaf;do_syscall_64;vfs_read 7\n");
    EXPECT_EQ(folded("cat", kUser, {}, 1), "cat;main;leaf 1\n");
    EXPECT_EQ(folded("kworker/0:1", {}, kKernel, 18446744073709551615u),
              "kworker/0:1;do_syscall_64;vfs_read 18446744073709551615\n");
    EXPECT_EQ(folded("idle", {}, {}, 3), "idle 3\n");
}

TEST(Fold, DelimitsAndAnnotates)
{
    EXPECT_EQ(folded("cat", kUser, kKernel, 7, {.delimiter = true}),
              "cat;main;leaf;-;do_syscall_64;vfs_read 7\n");
    EXPECT_EQ(folded("cat", kUser, {}, 7, {.delimiter = true}), "cat;main;leaf 7\n");
    EXPECT_EQ(folded("cat", kUser, kKernel, 7, {.annotate = true}),
              "cat;main;leaf;do_syscall_64_[k];vfs_read_[k] 7\n");
    EXPECT_EQ(
        folded("cat", {}, {{"[Missed Kernel Stack]", FrameKind::marker}}, 7, {.annotate = true}),
        "cat;[Missed Kernel Stack] 7\n");
}

TEST(Fold, NoNameForgesALineOrAFrame)
{
    EXPECT_EQ(folded("evil\nroot;x", {{"a;b", FrameKind::user}, {"", FrameKind::jit}}, {}, 1),
              "evil\\nroot:x;[unknown];a:b 1\n");
    EXPECT_EQ(folded("c", {{"-", FrameKind::user}}, kKernel, 1, {.delimiter = true}),
              "c;\\x2d;-;do_syscall_64;vfs_read 1\n");
    EXPECT_EQ(folded("c", {{"fake_[k]", FrameKind::jit}}, {}, 1, {.annotate = true}),
              "c;fake_\\x5bk] 1\n");
    EXPECT_EQ(folded("two words", {{"operator new", FrameKind::user}}, {}, 1),
              "two words;operator new 1\n");
}

bool is_clean(std::string_view text)
{
    // Valid UTF-8 without control characters, by another way than the code's.
    for (std::size_t i = 0; i < text.size();) {
        auto lead = static_cast<unsigned char>(text[i]);
        std::size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        if (lead >= 0x80 && (lead < 0xc2 || lead > 0xf4))
            return false;
        if (i + length > text.size())
            return false;
        std::uint32_t point = length == 1 ? lead : lead & (0xffu >> (length + 1));
        for (std::size_t j = 1; j < length; ++j) {
            auto byte = static_cast<unsigned char>(text[i + j]);
            if (byte < 0x80 || byte > 0xbf)
                return false;
            point = point << 6 | (byte & 0x3f);
        }
        constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
        if (point < kLeast[length] || point > 0x10ffff)
            return false;
        if (point < 0x20 || (point >= 0x7f && point < 0xa0))
            return false;
        if (point >= 0xd800 && point <= 0xdfff)
            return false;
        if (point == 0x2028 || point == 0x2029)
            return false;
        i += length;
    }
    return true;
}

TEST(Fold, IsCleanForAnyBytes)
{
    std::mt19937 random(7);
    for (int i = 0; i < 20000; ++i) {
        std::string name(random() % 12, '\0');
        for (char& c : name)
            c = static_cast<char>(random() % 3 ? 0x80 + random() % 0x80 : random() % 0x80);
        std::string out;
        append_folded_name(out, name);
        ASSERT_TRUE(is_clean(out)) << out;
        ASSERT_EQ(out.find(';'), std::string::npos);
        ASSERT_FALSE(out.empty());
    }
}

TEST(KernelFrame, IsPrintedInAllStyles)
{
    KernelSymbols symbols = KernelSymbols::parse(kKallsyms);
    auto text = [&](std::uint64_t at, FrameStyle style) {
        std::string out;
        append_kernel_frame(out, symbols, at, style);
        return out;
    };
    EXPECT_EQ(text(0xffffffff8100021f, {}), "vfs_read");
    EXPECT_EQ(text(0xffffffff8100021f, {.offset = true}), "vfs_read+0x1f");
    EXPECT_EQ(text(0xffffffff8100021f, {.offset = true, .module = true}), "vfs_read+0x1f [kernel]");
    EXPECT_EQ(text(0xffffffffc0300001, {.module = true}), "nfs_open [nfs]");
    EXPECT_EQ(text(0x1234, {.offset = true, .module = true}), "0x1234");
}

// --- demangling ---------------------------------------------------------------------------------

TEST(Demangle, CxxAndRust)
{
    EXPECT_EQ(demangled("main"), "main");
    EXPECT_EQ(demangled("_start"), "_start");
    EXPECT_EQ(demangled("_ZN6shapes6Circle4areaEi"), "shapes::Circle::area(int)");
    EXPECT_EQ(demangled("_ZNKSt6vectorIiSaIiEE4sizeEv"),
              "std::vector<int, std::allocator<int> >::size() const");
    EXPECT_EQ(demangled("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE"),
              "core::fmt::Write::write_fmt");
    EXPECT_EQ(demangled("_ZN58_$LT$alloc..string..String$u20$as$u20$core..fmt..Debug$GT$3fmt"
                        "17h0123456789abcdefE"),
              "<alloc::string::String as core::fmt::Debug>::fmt");
    EXPECT_EQ(demangled("_ZN4fake4hash3h12E"), "fake::hash::h12");
    EXPECT_EQ(demangled("_Zbroken"), "_Zbroken");
}

// Patterns look for such words before they demangle.
TEST(Demangle, WordsOfSourceNamesStandInSymbols)
{
    EXPECT_TRUE(stands_in_symbols("area"));
    EXPECT_TRUE(stands_in_symbols("_Circle2"));
    for (const char* own : {"std", "oper", "string", "anonymous", "int", "_Float32", "2ul", "77"})
        EXPECT_FALSE(stands_in_symbols(own)) << own;

    constexpr std::string_view kLetters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    const auto file = ElfFile::open(open_regular("/proc/self/exe"));
    ASSERT_TRUE(file);
    std::vector<RawSymbol> symbols;
    ASSERT_TRUE(file->add_symbols(symbols));
    std::size_t seen = 0;
    for (std::size_t i = 0; i < symbols.size(); i += 11) {
        const std::string symbol(symbols[i].name);
        if (!symbol.starts_with("_Z"))
            continue;
        const std::string source = demangled(symbol.c_str());
        for (std::size_t at = 0; (at = source.find_first_of(kLetters, at)) != source.npos;) {
            const auto end = std::min(source.find_first_not_of(kLetters, at), source.size());
            const std::string word = source.substr(at, end - at);
            at = end;
            if (!stands_in_symbols(word))
                continue;
            seen++;
            ASSERT_NE(symbol.find(word), symbol.npos) << word << " of " << source;
        }
    }
    EXPECT_GT(seen, 1000u);
}

TEST(Demangle, RustV0)
{
    EXPECT_EQ(demangled("_RNvCs15kBYyAo9fc_7mycrate7example"), "mycrate::example");
    EXPECT_EQ(demangled("_RNvMsr_NtCs3ssYzQotkvD_3std4pathNtB5_7PathBuf3newCs15kBYyAo9fc_7mycrate"),
              "<std::path::PathBuf>::new");
    EXPECT_EQ(demangled("_RNCNvCs15kBYyAo9fc_7mycrate3foos_0B3_"), "mycrate::foo::{closure#1}");
    EXPECT_EQ(demangled("_RINvNtC3std3mem8align_ofRShE"), "std::mem::align_of::<&[u8]>");
    EXPECT_EQ(demangled("_RNvXC1aINtB2_3BoxDNtB2_5TraitEL_ENtB2_4Drop4drop"),
              "<a::Box<dyn a::Trait> as a::Drop>::drop");
    EXPECT_EQ(demangled("_RINvC1a1fKj1f_KlnA_Kb1_AhKj4_E"), "_RINvC1a1fKj1f_KlnA_Kb1_AhKj4_E")
        << "numbers are written in lower case";
    EXPECT_EQ(demangled("_RINvC1a1fKj1f_Klna_Kb1_Ahj4_E"), "a::f::<31, -10, true, [u8; 4]>");
    EXPECT_EQ(demangled("_RNvC1au5gdel_9mai"), "_RNvC1au5gdel_9mai");
    EXPECT_EQ(demangled("_RNqCs4fqI2P2rA04_11utf8_identsu30____7hkackfecea1cbdathfdh9hlq6y"),
              "utf8_idents::\u10e1\u10d0\u10ed\u10db\u10d4\u10da\u10d0\u10d3_"
              "\u10d2\u10d4\u10db\u10e0\u10d8\u10d4\u10da\u10d8_\u10e1\u10d0\u10d3"
              "\u10d8\u10da\u10d8");
    EXPECT_EQ(demangled("_RNvC1a1f.llvm.8134"), "a::f");
    EXPECT_EQ(demangled("_RNvB_1f"), "_RNvB_1f") << "a reference to itself";
    EXPECT_EQ(demangled("_REALLY_c_function"), "_REALLY_c_function");
    // Tuples of tuples, each level naming the one before twice.
    std::string doubling = "_RINvC1a1fTuuE";
    std::string previous = "7_"; // position of the first tuple
    auto base62 = [](std::size_t number) {
        constexpr char kDigits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        std::string text;
        for (std::size_t rest = number - 1;; rest /= 62) {
            text.insert(text.begin(), kDigits[rest % 62]);
            if (rest < 62)
                break;
        }
        return text + "_";
    };
    for (int i = 0; i < 40; ++i) {
        std::size_t start = doubling.size() - 2;
        doubling += "TB" + previous + "B" + previous + "E";
        previous = base62(start);
    }
    std::string unfolded = demangled((doubling + "E").c_str());
    EXPECT_TRUE(unfolded.starts_with("a::f::<((), ()), (((), ()), ((), ()))"))
        << unfolded.substr(0, 80);
    EXPECT_LT(unfolded.size(), 3000u);
}

TEST(Demangle, IsBounded)
{
    // pair<pair<pair<...>>> with each level twice the one before: 2^40 characters in full.
    std::string type = "i";
    std::string name = "_Z1fSt4pairIiiE";
    for (int i = 0; i < 40; ++i) {
        std::string last = i == 0 ? "S0_"
                                  : "S" +
                                        std::string(1, "0123456789ABCDEFGHIJKLMNOPQRSTUVW"
                                                       "XYZ"[i % 36]) +
                                        "_";
        name += "S_I" + last + last + "E";
    }
    EXPECT_LT(demangled(name.c_str()).size(), 3000u);
    EXPECT_EQ(demangled(("_Z" + std::string(100000, 'P')).c_str()).size(), 100002u);
    // A function type with 62^8 lifetimes in the part that is not printed: libiberty's demangler
    // counts them one by one.
    EXPECT_EQ(demangled("_RC1aYFGzzzzzzzz_EuC1b"), "_RC1aYFGzzzzzzzz_EuC1b");
}

// --- symbol tables ------------------------------------------------------------------------------

TEST(SymbolTable, PrefersTheInnermostFunctionThatHolds)
{
    SymbolTable table({{0x100, 0x100, 0x1000, "outer", 0},
                       {0x120, 0x10, 0x1000, "inner", 0},
                       {0x140, 0, 0x1000, "label", 64},
                       {0x160, 0x08, 0x1000, "inner2", 0},
                       {0x400, 0x20, 0x1000, "later", 0},
                       {0x800, 0, 0x1000, "unsized", 64},
                       {0x900, 0, 0x980, "last", 64}});
    auto name = [&](std::uint64_t at) -> std::string {
        auto hit = table.find(at);
        return hit ? table.name(hit->index) : "";
    };
    EXPECT_EQ(name(0xff), "");
    EXPECT_EQ(name(0x100), "outer");
    EXPECT_EQ(name(0x12f), "inner");
    EXPECT_EQ(name(0x130), "outer");
    EXPECT_EQ(name(0x148), "outer") << "labels do not divide functions";
    EXPECT_EQ(name(0x167), "inner2");
    EXPECT_EQ(name(0x1ff), "outer");
    EXPECT_EQ(name(0x200), "") << "not the nearest, the holding one";
    EXPECT_EQ(name(0x41f), "later");
    EXPECT_EQ(name(0x420), "");
    EXPECT_EQ(name(0x8ff), "unsized");
    EXPECT_EQ(name(0x97f), "last");
    EXPECT_EQ(name(0x980), "");
    EXPECT_EQ(table.find(0x150)->offset, 0x50u);
}

TEST(SymbolTable, AgreesWithALinearSearch)
{
    std::mt19937 random(3);
    for (int round = 0; round < 200; ++round) {
        std::vector<RawSymbol> raw;
        for (int i = 0; i < 40; ++i)
            raw.push_back({random() % 1000, 1 + random() % (i % 5 == 0 ? 300 : 20), 2000, "f", 0});
        SymbolTable table(raw);
        for (std::uint64_t at = 0; at < 1400; ++at) {
            bool held = std::ranges::any_of(raw, [&](const RawSymbol& symbol) {
                // Of several with one start the table keeps one; leave those out of the judgement.
                return at >= symbol.value && at < symbol.value + symbol.size &&
                       std::ranges::count(raw, symbol.value, &RawSymbol::value) == 1;
            });
            auto hit = table.find(at);
            ASSERT_TRUE(hit || !held) << at;
            if (hit) {
                ASSERT_TRUE(std::ranges::any_of(raw, [&](const RawSymbol& symbol) {
                    return symbol.value + hit->offset == at && hit->offset < symbol.size;
                }));
            }
        }
    }
}

TEST(PerfMap, TakesTheLatestOfOverlappingLines)
{
    PerfMap map("1000 100 first\n"
                "0x2000 0x10 java.lang.String::hash(int) [with blanks]\n"
                "1040 20 recompiled\n"
                "bad line\n"
                "3000 0 empty\n"
                "1000 10 prologue; anew\n"
                "4000 10 cut off while being writt");
    EXPECT_EQ(map.find(0x1008)->name, "prologue; anew");
    EXPECT_EQ(map.find(0x1010)->name, "first");
    EXPECT_EQ(map.find(0x105f)->name, "recompiled");
    EXPECT_EQ(map.find(0x1060)->name, "first");
    EXPECT_EQ(map.find(0x1060)->offset, 0x60u);
    EXPECT_FALSE(map.find(0x1100));
    EXPECT_EQ(map.find(0x2008)->name, "java.lang.String::hash(int) [with blanks]");
    EXPECT_FALSE(map.find(0x2008)->unfinished);
    EXPECT_FALSE(map.find(0x3000));
    // Its writer ended, or is about to write on.
    EXPECT_EQ(map.find(0x4000)->name, "cut off while being writt");
    EXPECT_TRUE(map.find(0x4000)->unfinished);
    EXPECT_FALSE(PerfMap("5000 10").find(0x5000));
    EXPECT_TRUE(PerfMap("").empty());
}

// --- processes ----------------------------------------------------------------------------------

TEST(UserSymbols, NamesFunctionsOfItsOwnProcess)
{
    UserSymbols symbols;
    auto pid = static_cast<std::uint32_t>(::getpid());

    auto frame = symbols.lookup(pid, address(&corebox_symbols_test_c_function) + 1);
    EXPECT_TRUE(frame.resolved);
    EXPECT_EQ(frame.name, "corebox_symbols_test_c_function");
    EXPECT_EQ(frame.offset, 1u);
    EXPECT_EQ(frame.kind, FrameKind::user);
    EXPECT_TRUE(frame.object.starts_with('/')) << frame.object;

    EXPECT_EQ(symbols.lookup(pid, address(&a_static_function)).name,
              "(anonymous namespace)::a_static_function(int)");

    int (shapes::Circle::*member)(int, char) const = &shapes::Circle::area;
    std::uint64_t member_address;
    std::memcpy(&member_address, &member, sizeof member_address);
    EXPECT_EQ(symbols.lookup(pid, member_address).name, "shapes::Circle::area(int, char) const");

    EXPECT_EQ(symbols.lookup(pid, address(&::getppid)).name, "getppid");

    // A return address behind a call that ends the function belongs to that function.
    auto next =
        symbols.lookup(pid, address(&corebox_symbols_test_c_function) + 1, At::return_address);
    EXPECT_EQ(next.name, "corebox_symbols_test_c_function");
    EXPECT_EQ(next.offset, 1u);
}

TEST(UserSymbols, SaysUnknownWhereNothingIsMapped)
{
    UserSymbols symbols;
    auto frame = symbols.lookup(static_cast<std::uint32_t>(::getpid()), 0x10);
    EXPECT_FALSE(frame.resolved);
    EXPECT_EQ(frame.name, "[unknown]");
    auto nobody = symbols.lookup(4194304, address(&a_static_function)); // above any pid_max
    EXPECT_FALSE(nobody.resolved);
    EXPECT_EQ(nobody.name, "[unknown]");
    EXPECT_FALSE(symbols.remembers(4194304));
}

TEST(UserSymbols, NamesTheVdso)
{
    std::ifstream maps("/proc/self/maps");
    std::uint64_t start = 0;
    for (std::string line; std::getline(maps, line);) {
        if (line.ends_with("[vdso]"))
            start = std::strtoull(line.c_str(), nullptr, 16);
    }
    if (start == 0)
        GTEST_SKIP() << "no vDSO here";
    UserSymbols symbols;
    auto pid = static_cast<std::uint32_t>(::getpid());
    // Somewhere in it is clock_gettime.
    bool found = false;
    for (std::uint64_t at = start; at < start + 8192 && !found; at += 16) {
        auto frame = symbols.lookup(pid, at);
        EXPECT_TRUE(frame.object == "[vdso]" || !frame.resolved);
        found = frame.resolved && frame.name.find("clock_gettime") != std::string_view::npos;
    }
    EXPECT_TRUE(found);
}

// Anonymous executable memory.
class Generated
{
public:
    Generated()
        : memory_(static_cast<char*>(
              ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)))
    {
    }
    ~Generated() { ::munmap(memory_, 4096); }
    std::uint64_t at(std::uint64_t offset) const { return address(memory_) + offset; }

private:
    char* memory_;
};

std::string perf_map_path() { return "/tmp/perf-" + std::to_string(::getpid()) + ".map"; }

TEST(UserSymbols, NamesJitCodeByThePerfMapAndReadsItAgain)
{
    UserSymbols symbols;
    auto pid = static_cast<std::uint32_t>(::getpid());
    Generated code;

    auto before = symbols.lookup(pid, code.at(0x40));
    EXPECT_FALSE(before.resolved);
    EXPECT_EQ(before.kind, FrameKind::jit);
    EXPECT_EQ(before.object, "[anon]");
    EXPECT_EQ(before.name, "[anon]+0x40");

    std::ofstream map(perf_map_path());
    map << std::hex << code.at(0) << " 80 compiled::one\n" << std::flush;
    ::usleep(150'000); // a missing file is not looked for at each address
    auto one = symbols.lookup(pid, code.at(0x41));
    EXPECT_TRUE(one.resolved);
    EXPECT_EQ(one.name, "compiled::one");
    EXPECT_EQ(one.offset, 0x41u);
    EXPECT_EQ(one.kind, FrameKind::jit);

    map << std::hex << code.at(0x100) << " 80 compiled::two\n" << std::flush;
    ::usleep(150'000);
    EXPECT_EQ(symbols.lookup(pid, code.at(0x110)).name, "compiled::two");
    EXPECT_EQ(one.name, "compiled::one") << "names outlive the reading of the map";
    ::unlink(perf_map_path().c_str());
}

TEST(UserSymbols, TakesTheLastLineOfAPerfMapAsFarAsItIsWritten)
{
    UserSymbols symbols;
    auto pid = static_cast<std::uint32_t>(::getpid());
    Generated code;
    std::ofstream map(perf_map_path());
    map << std::hex << code.at(0) << " 80 compiled::o" << std::flush;
    EXPECT_EQ(symbols.lookup(pid, code.at(0x41)).name, "compiled::o");
    map << "ne\n" << std::flush;
    ::usleep(150'000);
    EXPECT_EQ(symbols.lookup(pid, code.at(0x41)).name, "compiled::one");
    ::unlink(perf_map_path().c_str());
}

TEST(UserSymbols, HoldsAPerfMap)
{
    UserSymbols symbols;
    auto pid = static_cast<std::uint32_t>(::getpid());
    Generated code;
    std::ofstream(perf_map_path()) << std::hex << code.at(0) << " 80 compiled\n";
    symbols.remember(pid);
    ::unlink(perf_map_path().c_str());
    EXPECT_EQ(symbols.lookup(pid, code.at(0)).name, "compiled");
}

TEST(UserSymbols, NamesJitCodeOfAForkedChild)
{
    Generated code;
    std::ofstream(perf_map_path()) << std::hex << code.at(0) << " 80 compiled::before_fork\n";
    int to[2];
    ASSERT_EQ(::pipe2(to, O_CLOEXEC), 0);
    pid_t child = ::fork();
    if (child == 0) {
        ::close(to[1]);
        char byte;
        ::_exit(static_cast<int>(::read(to[0], &byte, 1)));
    }
    ::close(to[0]);
    UserSymbols symbols;
    auto frame = symbols.lookup(static_cast<std::uint32_t>(child), code.at(0x41));
    EXPECT_EQ(frame.name, "compiled::before_fork");
    EXPECT_EQ(frame.offset, 0x41u);
    ::close(to[1]);
    ::waitpid(child, nullptr, 0);
    ::unlink(perf_map_path().c_str());
}

TEST(UserSymbols, TakesNoPerfMapOfAnotherUser)
{
    if (::geteuid() != 0)
        GTEST_SKIP() << "needs chown";
    Generated code;
    {
        std::ofstream map(perf_map_path());
        map << std::hex << code.at(0) << " 80 forged\n";
    }
    auto pid = static_cast<std::uint32_t>(::getpid());
    ASSERT_EQ(::chown(perf_map_path().c_str(), 65534, 65534), 0);
    EXPECT_FALSE(UserSymbols().lookup(pid, code.at(0)).resolved);
    // Nor a pipe, which would block.
    ::unlink(perf_map_path().c_str());
    ASSERT_EQ(::mkfifo(perf_map_path().c_str(), 0644), 0);
    EXPECT_FALSE(UserSymbols().lookup(pid, code.at(0)).resolved);
    ::unlink(perf_map_path().c_str());
}

// A scratch directory with programs built for the test.
class Programs : public testing::Test
{
protected:
    void SetUp() override
    {
        if (std::system("command -v cc objcopy strip >/dev/null 2>&1") != 0)
            GTEST_SKIP() << "no compiler here";
        char path[] = "/tmp/corebox_symbols_XXXXXX";
        ASSERT_NE(::mkdtemp(path), nullptr);
        directory_ = path;
    }
    void TearDown() override
    {
        if (!directory_.empty())
            run("rm -rf " + directory_);
    }

    static void run(const std::string& command)
    {
        ASSERT_EQ(std::system(command.c_str()), 0) << command;
    }
    std::string in(const std::string& name) const { return directory_ + "/" + name; }

    // A program that tells where its functions are, then waits for the end of its input.
    void build(const std::string& name, const std::string& flags)
    {
        std::ofstream(in("program.c"))
            << "#include <stdio.h>\n#include <unistd.h>\n"
               "static __attribute__((noinline)) int hidden_work(int x)"
               "{ __asm__ volatile(\"\"); return x * 7; }\n"
               "__attribute__((noinline)) int shown_work(int x)"
               "{ __asm__ volatile(\"\"); return hidden_work(x) + 1; }\n"
               "int main(int n, char **v) { char c; (void)v;\n"
               "  printf(\"%lx %lx %d\\n\", (unsigned long)hidden_work,\n"
               "         (unsigned long)shown_work, shown_work(n)); fflush(stdout);\n"
               "  return (int)read(0, &c, 1); }\n";
        run("cc -O1 " + flags + " -o " + in(name) + " " + in("program.c"));
    }

    std::string directory_;
};

class Child
{
public:
    explicit Child(const std::string& program)
    {
        int to[2], from[2];
        if (::pipe2(to, O_CLOEXEC) != 0 || ::pipe2(from, O_CLOEXEC) != 0)
            return;
        pid_ = ::fork();
        if (pid_ == 0) {
            ::dup2(to[0], 0);
            ::dup2(from[1], 1);
            ::execl(program.c_str(), program.c_str(), nullptr);
            ::_exit(127);
        }
        ::close(to[0]);
        ::close(from[1]);
        input_ = to[1];
        char line[128] = {};
        if (::read(from[0], line, sizeof line - 1) > 0)
            std::sscanf(line, "%lx %lx", &hidden, &shown);
        ::close(from[0]);
    }
    ~Child() { end(); }
    void end()
    {
        if (pid_ <= 0)
            return;
        ::close(input_);
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }
    std::uint32_t pid() const { return static_cast<std::uint32_t>(pid_); }

    unsigned long hidden = 0;
    unsigned long shown = 0;

private:
    pid_t pid_ = 0;
    int input_ = -1;
};

TEST_F(Programs, OfEachKindOfLinkingAreResolved)
{
    struct Case {
        const char* name;
        const char* flags;
    };
    for (auto [name, flags] :
         {Case{"pie", "-pie -fPIE"}, Case{"fixed", "-no-pie -fno-pie"}, Case{"static", "-static"},
          Case{"static_pie", "-static-pie"}, Case{"one_segment", "-pie -Wl,-z,noseparate-code"},
          Case{"odd_base", "-no-pie -fno-pie -Wl,-Ttext-segment=0x10000000"}}) {
        SCOPED_TRACE(name);
        build(name, flags);
        Child child(in(name));
        ASSERT_NE(child.hidden, 0u);
        UserSymbols symbols;
        auto hidden = symbols.lookup(child.pid(), child.hidden + 2);
        EXPECT_EQ(hidden.name, "hidden_work");
        EXPECT_EQ(hidden.offset, 2u);
        EXPECT_EQ(hidden.object, in(name));
        EXPECT_EQ(symbols.lookup(child.pid(), child.shown).name, "shown_work");
    }
}

TEST_F(Programs, StrippedOnesKeepObjectAndOffset)
{
    build("stripped", "-pie -fPIE -s");
    Child child(in("stripped"));
    ASSERT_NE(child.hidden, 0u);
    UserSymbols symbols;
    auto frame = symbols.lookup(child.pid(), child.hidden);
    EXPECT_FALSE(frame.resolved);
    EXPECT_EQ(frame.kind, FrameKind::user);
    EXPECT_EQ(frame.object, in("stripped"));
    // A PIE is linked to address 0, and page-aligned: the low bits are those of the address.
    EXPECT_EQ(frame.offset & 0xfff, child.hidden & 0xfff);
    char expected[64];
    std::snprintf(expected, sizeof expected, "stripped+0x%lx",
                  static_cast<unsigned long>(frame.offset));
    EXPECT_EQ(frame.name, expected);
}

TEST_F(Programs, StrippedLibraryHasItsDynamicSymbols)
{
    build("host", "-pie -fPIE");
    run("cc -O1 -shared -fPIC -s -Dmain=library_main -o " + in("library.so") + " " +
        in("program.c"));
    auto file = ElfFile::open(open_regular(in("library.so")));
    ASSERT_TRUE(file);
    std::vector<RawSymbol> symbols;
    EXPECT_FALSE(file->add_symbols(symbols)) << "no .symtab";
    auto named = [&](std::string_view name) {
        return std::ranges::any_of(symbols, [&](const RawSymbol& s) { return s.name == name; });
    };
    EXPECT_TRUE(named("shown_work"));
    EXPECT_FALSE(named("hidden_work"));
    EXPECT_GE(file->build_id().size(), 16u);

    std::vector<RawSymbol> stubs;
    std::vector<std::string> names;
    run("cc -O1 -shared -fPIC -Wl,-z,lazy -Dmain=library_main -o " + in("lazy.so") + " " +
        in("program.c"));
    auto lazy = ElfFile::open(open_regular(in("lazy.so")));
    lazy->add_plt(stubs, names);
    EXPECT_TRUE(
        std::ranges::any_of(stubs, [](const RawSymbol& s) { return s.name == "read@plt"; }));
}

TEST_F(Programs, DebugLinkIsFollowedAndChecked)
{
    build("linked", "-pie -fPIE");
    run("cd " + directory_ +
        " && mkdir .debug && objcopy --only-keep-debug linked linked.debug && "
        "strip linked && objcopy --add-gnu-debuglink=linked.debug linked && "
        "mv linked.debug .debug/");
    {
        Child child(in("linked"));
        UserSymbols symbols;
        EXPECT_EQ(symbols.lookup(child.pid(), child.hidden).name, "hidden_work");
    }
    // Another program's debug file under that name is refused, by build id ...
    build("other", "-pie -fPIE -DOTHER -O0");
    run("objcopy --only-keep-debug " + in("other") + " " + in(".debug/linked.debug"));
    {
        Child child(in("linked"));
        UserSymbols symbols;
        EXPECT_FALSE(symbols.lookup(child.pid(), child.hidden).resolved);
    }
    // ... or by checksum where there is no build id.
    build("plain", "-pie -fPIE -Wl,--build-id=none");
    run("cd " + directory_ +
        " && objcopy --only-keep-debug plain plain.debug && "
        "strip plain && objcopy --add-gnu-debuglink=plain.debug plain");
    {
        Child child(in("plain"));
        UserSymbols symbols;
        EXPECT_EQ(symbols.lookup(child.pid(), child.hidden).name, "hidden_work");
    }
    run("cd " + directory_ + " && printf x >> plain.debug");
    {
        Child child(in("plain"));
        UserSymbols symbols;
        EXPECT_FALSE(symbols.lookup(child.pid(), child.hidden).resolved);
    }
}

std::string contents(const std::string& path) { return read_file(path).value_or(""); }

std::string xz(const std::string& bytes)
{
    std::string packed(lzma_stream_buffer_bound(bytes.size()), '\0');
    std::size_t size = 0;
    lzma_ret state = lzma_easy_buffer_encode(
        1, LZMA_CHECK_CRC32, nullptr, reinterpret_cast<const std::uint8_t*>(bytes.data()),
        bytes.size(), reinterpret_cast<std::uint8_t*>(packed.data()), &size, packed.size());
    EXPECT_EQ(state, LZMA_OK);
    packed.resize(size);
    return packed;
}

TEST_F(Programs, MiniDebugInfoIsUnpacked)
{
    build("mini", "-pie -fPIE");
    run("objcopy -S --keep-symbol=hidden_work --only-keep-debug " + in("mini") + " " + in("syms"));
    std::ofstream(in("syms.xz"), std::ios::binary) << xz(contents(in("syms")));
    run("strip " + in("mini"));
    run("objcopy --add-section .gnu_debugdata=" + in("syms.xz") + " " + in("mini"));
    {
        Child child(in("mini"));
        UserSymbols symbols;
        EXPECT_EQ(symbols.lookup(child.pid(), child.hidden).name, "hidden_work");
    }
    // Broken compressed data costs the names, nothing else.
    std::string broken = contents(in("syms.xz"));
    for (std::size_t i = 40; i < broken.size(); i += 13)
        broken[i] = static_cast<char>(broken[i] ^ 0x55);
    std::ofstream(in("syms.xz"), std::ios::binary) << broken;
    run("objcopy --update-section .gnu_debugdata=" + in("syms.xz") + " " + in("mini"));
    Child child(in("mini"));
    UserSymbols symbols;
    EXPECT_FALSE(symbols.lookup(child.pid(), child.hidden).resolved);
}

TEST_F(Programs, ThatHaveEndedAreResolvedIfRemembered)
{
    build("short", "-pie -fPIE");
    Child child(in("short"));
    Child stranger(in("short"));
    UserSymbols symbols;
    symbols.remember(child.pid());
    EXPECT_TRUE(symbols.remembers(child.pid()));
    std::uint32_t pid = child.pid();
    std::uint32_t stranger_pid = stranger.pid();
    child.end();
    stranger.end();
    auto frame = symbols.lookup(pid, child.hidden);
    EXPECT_EQ(frame.name, "hidden_work");
    EXPECT_TRUE(frame.resolved);
    EXPECT_EQ(symbols.lookup(stranger_pid, stranger.hidden).name, "[unknown]");
    symbols.remember(pid); // of no use any more, and of no harm
    EXPECT_EQ(symbols.lookup(pid, child.hidden).name, "hidden_work");
}

TEST_F(Programs, DeletedOrReplacedAfterTheirEndAreResolvedIfRemembered)
{
    build("short", "-pie -fPIE");
    for (const std::string& then : {"rm " + in("short"), "cp /bin/true " + in("new") + " && mv " +
                                                             in("new") + " " + in("short")}) {
        run("cp " + in("short") + " " + in("keep"));
        Child child(in("short"));
        UserSymbols symbols;
        symbols.remember(child.pid());
        std::uint32_t pid = child.pid();
        child.end();
        run(then);
        auto frame = symbols.lookup(pid, child.hidden);
        EXPECT_EQ(frame.name, "hidden_work") << then;
        EXPECT_EQ(frame.object, in("short"));
        run("mv " + in("keep") + " " + in("short"));
    }
}

// The oldest are read when there is no descriptor left to hold them with.
TEST_F(Programs, AreReadEarlyWhereNotAllCanBeHeld)
{
    build("program", "-pie -fPIE");
    std::vector<MappedFiles::File> held;
    MappedFiles files(4);
    for (int i = 0; i < 20; i++) {
        const std::string& path = files.intern(in("copy" + std::to_string(i)));
        // No two of one build id, which would be read once.
        run("cp " + in("program") + " " + path + " && echo " + std::to_string(i) + " >> " + path +
            " && truncate -s +" + std::to_string(i) + " " + path);
        held.push_back(files.hold(1, static_cast<std::uint64_t>(i), path, {},
                                  [&](struct stat& s) { return hold_regular(path, &s); }));
        ::unlink(path.c_str());
        EXPECT_LE(files.held(), 4u);
    }
    const auto none = [](struct stat&) { return Fd(); };
    for (const MappedFiles::File& file : held)
        EXPECT_NE(files.read(*file, false, none), nullptr) << *file->path;
}

// What programs do that want their code on huge pages.
TEST_F(Programs, ThatCopiedTheirCodeToAnonymousMemoryAreResolved)
{
    std::ofstream(in("copies.c"))
        << "#define _GNU_SOURCE\n#include <stdio.h>\n#include <string.h>\n"
           "#include <sys/mman.h>\n#include <unistd.h>\n"
           "static __attribute__((noinline)) int hidden_work(int x)"
           "{ __asm__ volatile(\"\"); return x * 7; }\n"
           "int main(int n, char **v) { char c, line[512]; unsigned long from, to; (void)v;\n"
           "  FILE *maps = fopen(\"/proc/self/maps\", \"r\");\n"
           "  while (fgets(line, sizeof line, maps))\n"
           "    if (strstr(line, \"r-xp\") && sscanf(line, \"%lx-%lx\", &from, &to) == 2) break;\n"
           "  char *copy = mmap(0, to - from, PROT_READ | PROT_WRITE,"
           "                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);\n"
           "  memcpy(copy, (void *)from, to - from);\n"
           "  if (mprotect(copy, to - from, PROT_READ | PROT_EXEC)) return 1;\n"
           "  if (mremap(copy, to - from, to - from, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)from)"
           " == MAP_FAILED) return 1;\n"
           "  printf(\"%lx %lx\\n\", (unsigned long)hidden_work, (unsigned long)hidden_work(n));\n"
           "  fflush(stdout); return (int)read(0, &c, 1); }\n";
    for (const std::string flags :
         {"-pie -fPIE", "-no-pie -static", "-no-pie -Wl,-z,noseparate-code"}) {
        run("cc -O1 " + flags + " -o " + in("copies") + " " + in("copies.c"));
        Child child(in("copies"));
        ASSERT_NE(child.hidden, 0u) << flags;
        UserSymbols symbols;
        auto frame = symbols.lookup(child.pid(), child.hidden + 1);
        EXPECT_EQ(frame.name, "hidden_work") << flags;
        EXPECT_EQ(frame.offset, 1u);
        EXPECT_EQ(frame.object, in("copies"));
        EXPECT_EQ(frame.kind, FrameKind::user);
        run("strip -o " + in("stripped") + " " + in("copies"));
        Child stripped(in("stripped"));
        EXPECT_EQ(UserSymbols().lookup(stripped.pid(), stripped.hidden).name.substr(0, 11),
                  "stripped+0x")
            << flags;
    }
}

TEST_F(Programs, RebuiltAfterTheirEndAreNotMisread)
{
    build("again", "-pie -fPIE");
    Child child(in("again"));
    UserSymbols symbols;
    symbols.remember(child.pid());
    std::uint32_t pid = child.pid();
    child.end();
    ::usleep(20'000);
    // The same inode with other contents.
    run("cc -O0 -pie -fPIE -o " + in("other") + " " + in("program.c") + " && cat " + in("other") +
        " > " + in("again"));
    auto frame = symbols.lookup(pid, child.hidden);
    EXPECT_FALSE(frame.resolved);
    EXPECT_EQ(frame.name.substr(0, 8), "again+0x");
}

TEST_F(Programs, DeletedWhileRunningAreResolved)
{
    if (::geteuid() != 0)
        GTEST_SKIP() << "needs map_files";
    build("gone", "-pie -fPIE");
    Child child(in("gone"));
    run("rm " + in("gone") + " && cp /bin/true " + in("gone"));
    UserSymbols symbols;
    auto frame = symbols.lookup(child.pid(), child.hidden);
    EXPECT_EQ(frame.name, "hidden_work");
    EXPECT_EQ(frame.object, in("gone"));
}

TEST_F(Programs, WithHostileNamesAreFound)
{
    build("plain", "-pie -fPIE");
    std::string name = in("new\nline; \x1b[31m");
    ASSERT_EQ(::rename(in("plain").c_str(), name.c_str()), 0);
    Child child(name);
    UserSymbols symbols;
    auto frame = symbols.lookup(child.pid(), child.hidden);
    EXPECT_EQ(frame.name, "hidden_work");
    EXPECT_EQ(frame.object, name);
}

// Runs the program of a process that first has itself put elsewhere, until it has told its address
// and was remembered; then looks it up.
UserFrame frame_of_ended(UserSymbols& symbols, const std::string& program, auto&& move_away)
{
    int to[2], from[2];
    EXPECT_EQ(::pipe2(to, O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(from, O_CLOEXEC), 0);
    pid_t pid = ::fork();
    if (pid == 0) {
        ::dup2(to[0], 0);
        ::dup2(from[1], 1);
        if (move_away())
            ::execl(program.c_str(), program.c_str(), nullptr);
        ::_exit(127);
    }
    ::close(to[0]);
    ::close(from[1]);
    char line[128] = {};
    unsigned long hidden = 0;
    EXPECT_GT(::read(from[0], line, sizeof line - 1), 0);
    EXPECT_EQ(std::sscanf(line, "%lx", &hidden), 1);
    symbols.remember(static_cast<std::uint32_t>(pid));
    ::close(from[0]);
    ::close(to[1]);
    ::waitpid(pid, nullptr, 0);
    return symbols.lookup(static_cast<std::uint32_t>(pid), hidden);
}

TEST_F(Programs, InAChrootAreFound)
{
    if (::geteuid() != 0)
        GTEST_SKIP() << "needs chroot";
    build("inside", "-static");
    run("mkdir " + in("root") + " && mv " + in("inside") + " " + in("root/inside"));
    UserSymbols symbols;
    auto frame = frame_of_ended(
        symbols, "/inside", [&] { return ::chroot(in("root").c_str()) == 0 && ::chdir("/") == 0; });
    EXPECT_EQ(frame.name, "hidden_work");
    EXPECT_EQ(frame.object, in("root/inside"));
}

TEST_F(Programs, InAnotherMountNamespaceAreFoundThoughItHasEnded)
{
    if (::geteuid() != 0)
        GTEST_SKIP() << "needs unshare";
    build("inside", "-static");
    run("mkdir " + in("mounted"));
    UserSymbols symbols;
    // The file is on a file system that exists in that namespace only.
    auto frame = frame_of_ended(symbols, in("mounted/inside"), [&] {
        // In a chroot "/" is no mount, and says EINVAL.
        return ::unshare(CLONE_NEWNS) == 0 &&
               (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 ||
                errno == EINVAL) &&
               ::mount("none", in("mounted").c_str(), "tmpfs", 0, nullptr) == 0 &&
               std::system(("cp " + in("inside") + " " + in("mounted/inside")).c_str()) == 0;
    });
    EXPECT_NE(::access(in("mounted/inside").c_str(), F_OK), 0);
    EXPECT_EQ(frame.name, "hidden_work");
}

TEST_F(Programs, InAChrootOfAnotherMountNamespaceAreFoundThoughItHasEnded)
{
    if (::geteuid() != 0)
        GTEST_SKIP() << "needs unshare";
    build("inside", "-static");
    run("mkdir -p " + in("mounted"));
    UserSymbols symbols;
    auto frame = frame_of_ended(symbols, "/deep/inside", [&] {
        return ::unshare(CLONE_NEWNS) == 0 &&
               (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 ||
                errno == EINVAL) &&
               ::mount("none", in("mounted").c_str(), "tmpfs", 0, nullptr) == 0 &&
               std::system(("mkdir -p " + in("mounted/root/deep") + " && cp " + in("inside") + " " +
                            in("mounted/root/deep/inside"))
                               .c_str()) == 0 &&
               ::chroot(in("mounted/root").c_str()) == 0 && ::chdir("/") == 0;
    });
    EXPECT_EQ(frame.name, "hidden_work");
}

// Who is traced may write its names: without an end they would take all time and memory.
TEST_F(Programs, NamesWithoutEndAreNone)
{
    const std::string name(20'000, 'n');
    std::ofstream(in("long.s")) << ".globl _start\n.type _start, @function\n_start: nop\n"
                                   ".size _start, 1\n.globl " +
                                       name + "\n.type " + name + ", @function\n" + name +
                                       ": nop\n.size " + name + ", 1\n";
    run("cc -nostdlib -static -no-pie -Wl,--build-id=none -o " + in("long") + " " + in("long.s"));
    auto file = ElfFile::open(open_regular(in("long")));
    ASSERT_TRUE(file);
    Binary binary(*file, in("long"), [](const std::string& path) { return open_regular(path); });
    const auto start = binary.address_at(0x1000);
    ASSERT_TRUE(start);
    EXPECT_EQ(binary.find(*start)->name, "_start");
    EXPECT_FALSE(binary.find(*start + 1));
}

TEST_F(Programs, DamagedInAnyByteAreSurvived)
{
    build("victim", "-pie -fPIE");
    std::string good = contents(in("victim"));
    ASSERT_GT(good.size(), sizeof(Elf64_Ehdr));
    std::mt19937 random(11);
    auto try_file = [&](const std::string& bytes) {
        std::ofstream(in("damaged"), std::ios::binary) << bytes;
        auto file = ElfFile::open(open_regular(in("damaged")));
        if (!file)
            return;
        Binary binary(*file, in("damaged"),
                      [](const std::string& path) { return open_regular(path); });
        for (std::uint64_t at = 0; at < 0x5000; at += 0x101) {
            if (auto elf_address = binary.address_at(at))
                binary.find(*elf_address);
        }
    };
    Elf64_Ehdr header;
    std::memcpy(&header, good.data(), sizeof header);
    for (int round = 0; round < 1500; ++round) {
        std::string bad = good;
        int count = 1 + static_cast<int>(random() % 8);
        for (int i = 0; i < count; ++i) {
            // Mostly in the headers, where it hurts.
            std::size_t sections = std::size_t{header.e_shnum} * header.e_shentsize;
            std::size_t at = random() % 3 == 0   ? random() % bad.size()
                             : random() % 2 == 0 ? random() % 1024
                                                 : header.e_shoff + random() % sections;
            bad[std::min(at, bad.size() - 1)] = static_cast<char>(random() % 2 ? random() : 0xff);
        }
        if (random() % 10 == 0)
            bad.resize(random() % bad.size());
        try_file(bad);
    }
    // Extended numbering that claims four thousand million sections, in a sparse file of a
    // terabyte.
    Elf64_Ehdr huge = header;
    huge.e_shnum = 0;
    Elf64_Shdr first = {};
    first.sh_size = 0xffffffff;
    std::string bytes = good;
    std::memcpy(bytes.data(), &huge, sizeof huge);
    std::memcpy(bytes.data() + huge.e_shoff, &first, sizeof first);
    std::ofstream(in("damaged"), std::ios::binary) << bytes;
    if (::truncate(in("damaged").c_str(), off_t{1} << 40) == 0) {
        EXPECT_FALSE(ElfFile::open(open_regular(in("damaged"))));
    }
}

// --- flame graph --------------------------------------------------------------------------------

struct Element {
    std::string name;
    std::vector<std::pair<std::string, std::string>> attributes;
    std::string text;
    std::vector<Element> children;

    std::string attribute(std::string_view key) const
    {
        for (const auto& [name_of, value] : attributes) {
            if (name_of == key)
                return value;
        }
        return {};
    }
};

// Just enough of XML to judge a drawing by: anything not well-formed is an error.
class Xml
{
public:
    explicit Xml(std::string_view text) : rest_(text) {}

    std::optional<Element> parse()
    {
        if (take("<?xml"))
            skip_past("?>");
        blanks();
        Element root;
        if (!element(root))
            return std::nullopt;
        blanks();
        return rest_.empty() ? std::optional(root) : std::nullopt;
    }
    std::string_view rest() const { return rest_.substr(0, 80); }

private:
    bool take(std::string_view token)
    {
        if (!rest_.starts_with(token))
            return false;
        rest_.remove_prefix(token.size());
        return true;
    }
    bool skip_past(std::string_view token)
    {
        std::size_t at = rest_.find(token);
        if (at == std::string_view::npos)
            return false;
        rest_.remove_prefix(at + token.size());
        return true;
    }
    void blanks()
    {
        while (!rest_.empty() && std::strchr(" \n\t\r", rest_.front()) != nullptr)
            rest_.remove_prefix(1);
    }
    std::string name()
    {
        std::size_t length = 0;
        while (length < rest_.size() &&
               (std::isalnum(static_cast<unsigned char>(rest_[length])) || rest_[length] == '-'))
            ++length;
        std::string result(rest_.substr(0, length));
        rest_.remove_prefix(length);
        return result;
    }
    bool character(std::string& to)
    {
        constexpr std::pair<std::string_view, char> kEntities[] = {
            {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&#39;", '\''}};
        if (rest_.front() == '<')
            return false;
        if (rest_.front() == '&') {
            for (auto [code, c] : kEntities) {
                if (take(code)) {
                    to += c;
                    return true;
                }
            }
            return false;
        }
        auto byte = static_cast<unsigned char>(rest_.front());
        if (byte < 0x20 && byte != '\n' && byte != '\t')
            return false;
        to += rest_.front();
        rest_.remove_prefix(1);
        return true;
    }
    bool element(Element& to)
    {
        if (!take("<"))
            return false;
        to.name = name();
        if (to.name.empty())
            return false;
        for (blanks(); !rest_.starts_with(">") && !rest_.starts_with("/>"); blanks()) {
            std::string key = name(), value;
            if (key.empty() || !to.attribute(key).empty() || !take("=\""))
                return false;
            while (!take("\"")) {
                if (rest_.empty() || !character(value))
                    return false;
            }
            to.attributes.emplace_back(key, value);
        }
        if (take("/>"))
            return true;
        take(">");
        while (!rest_.starts_with("</")) {
            if (rest_.empty())
                return false;
            if (take("<![CDATA[")) {
                if (!skip_past("]]>"))
                    return false;
            } else if (rest_.starts_with("<")) {
                if (!element(to.children.emplace_back()))
                    return false;
            } else if (!character(to.text)) {
                return false;
            }
        }
        take("</");
        if (name() != to.name)
            return false;
        return take(">");
    }

    std::string_view rest_;
};

struct Bar {
    std::string name;
    std::string kind;
    double x, y, width;
};

std::vector<Bar> bars_of(const Element& svg)
{
    std::vector<Bar> bars;
    for (const Element& child : svg.children) {
        if (child.name != "g" || child.attribute("class") != "f")
            continue;
        const Element& rect = child.children.at(1);
        const std::string& title = child.children.at(0).text;
        bars.push_back({title.substr(0, title.find('\n')), rect.attribute("class").substr(0, 1),
                        std::stod(rect.attribute("x")), std::stod(rect.attribute("y")),
                        std::stod(rect.attribute("width"))});
    }
    return bars;
}

std::string flame(const std::vector<FlameStack>& stacks, const FlameOptions& options = {})
{
    std::string svg;
    write_flame_graph(svg, options, stacks);
    return svg;
}

StackFrame process(std::string_view name) { return {name, FrameKind::process}; }
StackFrame user(std::string_view name) { return {name, FrameKind::user}; }
StackFrame kernel(std::string_view name) { return {name, FrameKind::kernel}; }

const Bar& bar(const std::vector<Bar>& bars, std::string_view name)
{
    static const Bar kNone{"none", "", -1, -1, -1};
    auto found = std::ranges::find(bars, name, &Bar::name);
    EXPECT_NE(found, bars.end()) << name;
    return found == bars.end() ? kNone : *found;
}

TEST(FlameGraph, WidthsAreProportionalAndMerged)
{
    std::string svg = flame({{{process("app"), user("main"), user("work")}, 60},
                             {{process("app"), user("main"), kernel("sys_read")}, 25},
                             {{process("app"), user("main"), user("work")}, 5},
                             {{process("zsh"), {"jitted", FrameKind::jit}}, 10}});
    Xml xml(svg);
    auto root = xml.parse();
    ASSERT_TRUE(root) << xml.rest();
    EXPECT_EQ(root->name, "svg");
    auto bars = bars_of(*root);
    ASSERT_EQ(bars.size(), 7u);
    const Bar& all = bar(bars, "all");
    EXPECT_NEAR(bar(bars, "app").width / all.width, 0.90, 1e-4);
    EXPECT_NEAR(bar(bars, "main").width / all.width, 0.90, 1e-4);
    EXPECT_NEAR(bar(bars, "work").width / all.width, 0.65, 1e-4);
    EXPECT_NEAR(bar(bars, "sys_read").width / all.width, 0.25, 1e-4);
    EXPECT_NEAR(bar(bars, "zsh").width / all.width, 0.10, 1e-4);
    // Above its parent, beside its siblings, in the order of names.
    EXPECT_LT(bar(bars, "work").y, bar(bars, "main").y);
    EXPECT_LT(bar(bars, "main").y, bar(bars, "app").y);
    EXPECT_LT(bar(bars, "app").y, all.y);
    EXPECT_NEAR(bar(bars, "sys_read").x, bar(bars, "main").x, 0.02);
    EXPECT_NEAR(bar(bars, "work").x, bar(bars, "sys_read").x + bar(bars, "sys_read").width, 0.02);
    EXPECT_NEAR(bar(bars, "zsh").x, bar(bars, "app").x + bar(bars, "app").width, 0.02);
    EXPECT_EQ(bar(bars, "app").kind, "p");
    EXPECT_EQ(bar(bars, "main").kind, "u");
    EXPECT_EQ(bar(bars, "sys_read").kind, "k");
    EXPECT_EQ(bar(bars, "jitted").kind, "j");
}

TEST(FlameGraph, ChildrenLieWithinTheirParents)
{
    std::mt19937 random(5);
    std::vector<std::string> names;
    for (int i = 0; i < 12; ++i)
        names.push_back("f" + std::to_string(i));
    std::vector<FlameStack> stacks;
    for (int i = 0; i < 400; ++i) {
        FlameStack stack{{}, 1 + random() % 1000};
        for (std::size_t depth = random() % 20; depth > 0; --depth)
            stack.frames.push_back(user(names[random() % names.size()]));
        stacks.push_back(std::move(stack));
    }
    auto root = Xml(flame(stacks)).parse();
    ASSERT_TRUE(root);
    std::vector<Bar> above; // the path to the current bar
    for (const Bar& each : bars_of(*root)) {
        while (!above.empty() && above.back().y <= each.y)
            above.pop_back();
        if (!above.empty()) {
            ASSERT_NEAR(above.back().y - each.y, 17, 0.01);
            ASSERT_GE(each.x, above.back().x - 0.02);
            ASSERT_LE(each.x + each.width, above.back().x + above.back().width + 0.03);
        }
        above.push_back(each);
    }
}

TEST(FlameGraph, NamesAreTextWhateverTheyHold)
{
    std::string hostile = "</title></g><script>alert(1)</script>";
    std::string svg = flame({{{process("a\"b'c&d]]>"), user(hostile)}, 3},
                             {{process(std::string_view("\x1b[2J\n\xff\0x", 8)), user("")}, 2},
                             {{process("not\xef\xbf\xbfXML \\ \xef\xbf\xbd")}, 2}},
                            {.title = "<b>&\"title\"", .subtitle = "<i>", .unit = "<u>"});
    Xml xml(svg);
    auto root = xml.parse();
    ASSERT_TRUE(root) << xml.rest();
    auto scripts = std::ranges::count(root->children, "script", &Element::name);
    EXPECT_EQ(scripts, 1);
    auto bars = bars_of(*root);
    EXPECT_GT(bar(bars, hostile).width, 0);
    EXPECT_GT(bar(bars, "a\"b'c&d]]>").width, 0);
    EXPECT_GT(bar(bars, "\\x1b[2J\\n\\xff\\x00x").width, 0);
    EXPECT_GT(bar(bars, "not\\xef\\xbf\\xbfXML \\\\ \xef\xbf\xbd").width, 0);
    EXPECT_GT(bar(bars, "[unknown]").width, 0);
    EXPECT_EQ(svg.find("<script>alert"), std::string::npos);
    EXPECT_TRUE(is_clean([&] {
        std::string flat = svg;
        std::erase(flat, '\n');
        return flat;
    }()));
}

TEST(FlameGraph, RefersToNothingOutside)
{
    std::string svg = flame({{{process("app"), user("main")}, 1}});
    for (std::string_view reference :
         {"href", "src=", "url(", "@import", "fetch(", "innerHTML", "eval(", "https:"})
        EXPECT_EQ(svg.find(reference), std::string::npos) << reference;
    // The two namespaces that make it SVG and its search field HTML.
    std::size_t count = 0;
    for (std::size_t at = 0; (at = svg.find("http://", at)) != std::string::npos; ++at) {
        ++count;
        EXPECT_TRUE(svg.substr(at).starts_with("http://www.w3.org/"));
    }
    EXPECT_EQ(count, 2u);
}

TEST(FlameGraph, LeavesOutWhatNobodySees)
{
    std::vector<FlameStack> stacks = {{{process("big")}, 1'000'000}};
    std::vector<std::string> names;
    for (int i = 0; i < 100; ++i)
        names.push_back("small" + std::to_string(i));
    for (const std::string& name : names)
        stacks.push_back({{process(name), user("x")}, 1});
    std::string svg = flame(stacks);
    auto root = Xml(svg).parse();
    ASSERT_TRUE(root);
    auto bars = bars_of(*root);
    EXPECT_EQ(bars.size(), 2u);
    EXPECT_NE(svg.find("100 narrow frames are not drawn"), std::string::npos);
    EXPECT_NEAR(bar(bars, "big").width / bar(bars, "all").width, 1'000'000.0 / 1'000'100, 1e-5)
        << "what is not drawn still counts";
    EXPECT_EQ(bars_of(*Xml(flame(stacks, {.min_width = 0})).parse()).size(), 202u);
}

TEST(FlameGraph, OfNothingSaysSo)
{
    std::string svg = flame({});
    ASSERT_TRUE(Xml(svg).parse());
    EXPECT_NE(svg.find("No stacks."), std::string::npos);
}

} // namespace
