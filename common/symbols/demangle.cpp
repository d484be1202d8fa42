// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "symbols/demangle.hpp"

#include "symbols/demangle_rust.hpp"

#include <algorithm>
#include <csetjmp>
#include <cstdlib>
#include <cstring>
#include <cxxabi.h>
#include <string_view>

// libstdc++'s demangler, which is in every static C++ program (libiberty's is the same code, 55 KB
// more), with its output handed out in pieces. abi::__cxa_demangle builds the whole
// result in memory first, and a hostile name of 200 bytes (each substitution used twice) unfolds to
// gigabytes. Only the static libstdc++ has it, hence weak: builds for sanitizers, which link the
// shared one, make do with __cxa_demangle, whose mention here pulls both into a static program.
extern "C" __attribute__((weak)) int
__gcclibcxx_demangle_callback(const char* mangled,
                              void (*callback)(const char*, std::size_t, void*), void* opaque);

namespace corebox
{
namespace
{

constexpr std::size_t kMaxMangled = 16 * 1024;
constexpr std::size_t kMaxName = 2048;

struct Output {
    char text[kMaxName];
    std::size_t size = 0;
    std::jmp_buf full;
};

void take_piece(const char* piece, std::size_t size, void* opaque)
{
    auto* output = static_cast<Output*>(opaque);
    std::size_t room = std::min(size, kMaxName - output->size);
    std::memcpy(output->text + output->size, piece, room);
    output->size += room;
    // The only way to stop the demangler. Its frames are C and own nothing but their stack.
    if (room < size)
        std::longjmp(output->full, 1);
}

bool demangle_into(Output& output, const char* symbol)
{
    if (__gcclibcxx_demangle_callback == nullptr) {
        constexpr std::ptrdiff_t kMaxSubstitutions = 16; // 2^8 times the name at most
        std::string_view name(symbol);
        if (std::ranges::count(name, '_') > kMaxSubstitutions)
            return false;
        int status = 0;
        char* whole = abi::__cxa_demangle(symbol, nullptr, nullptr, &status);
        if (whole == nullptr)
            return false;
        output.size = std::min(std::strlen(whole), kMaxName);
        std::memcpy(output.text, whole, output.size);
        std::free(whole);
        return true;
    }
    if (setjmp(output.full) != 0)
        return true;
    return __gcclibcxx_demangle_callback(symbol, take_piece, &output) == 0;
}

bool is_hex(std::string_view text)
{
    return std::ranges::all_of(
        text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// Rust's legacy mangling is Itanium's with a hash as last component, and '$'-sequences for what
// C++ names cannot hold (rustc-demangle, "legacy"). Empty if it is not Rust.
std::string rust_name(std::string_view name)
{
    constexpr std::string_view kHash = "::h0123456789abcdef";
    if (name.size() <= kHash.size())
        return {};
    std::string_view hash = name.substr(name.size() - kHash.size());
    if (!hash.starts_with("::h") || !is_hex(hash.substr(3)))
        return {};
    name.remove_suffix(kHash.size());

    struct Sequence {
        std::string_view code;
        std::string_view text;
    };
    constexpr Sequence kSequences[] = {
        {"$SP$", "@"},  {"$BP$", "*"},  {"$RF$", "&"},  {"$LT$", "<"},  {"$GT$", ">"},
        {"$LP$", "("},  {"$RP$", ")"},  {"$C$", ","},   {"$u20$", " "}, {"$u27$", "'"},
        {"$u2b$", "+"}, {"$u3b$", ";"}, {"$u5b$", "["}, {"$u5d$", "]"}, {"$u7b$", "{"},
        {"$u7d$", "}"}, {"$u7e$", "~"}, {"..", "::"},
    };
    std::string result;
    bool component_start = true;
    while (!name.empty()) {
        // A component that would start with '$' is given a leading '_'.
        if (component_start && name.starts_with("_$"))
            name.remove_prefix(1);
        auto sequence = std::ranges::find_if(
            kSequences, [&](const Sequence& s) { return name.starts_with(s.code); });
        component_start = false;
        if (sequence != std::end(kSequences)) {
            result += sequence->text;
            name.remove_prefix(sequence->code.size());
        } else {
            result += name.front();
            name.remove_prefix(1);
            component_start = result.ends_with("::");
        }
    }
    return result;
}

// What libiberty's demangler writes that no symbol has (cp-demangle.c), and Itanium's own
// abbreviations.
constexpr std::string_view kOwnWords[] = {
    "Accum Class Complex _Float Fract Imaginary Sat TLS VTT _BitInt __float __int",
    "__restrict __vector abi alias alignof allocator anonymous arg auto base",
    "basic_iostream basic_istream basic_ostream basic_string bfloat bitint bool boolean",
    "byte call char_t char_traits clone co_await complex const const_cast constraint",
    "construction constructors covariant ctor decimal decltype default delete",
    "destructors double dtor dynamic_cast enum false fixed float fn for function global",
    "guard half hidden imaginary init initializer instantiation int iostream is istream",
    "iter java keyed lambda literal long module name namespace new noexcept non nullptr",
    "object operator ostream pack parameter parm proxy reference reinterpret",
    "reinterpret_cast requires resource restrict return short signed sizeof static",
    "static_cast std string struct template temporary this throw thunk to transaction",
    "transaction_safe true type typeid typeinfo typename ull union unnamed unsigned",
    "variable vector virtual void volatile vtable wchar_t wrapper yield"};

} // namespace

bool stands_in_symbols(std::string_view word)
{
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (word.empty() || is_digit(word[0]))
        return false;
    std::string bare(word); // "char16_t", "_Float32"
    std::erase_if(bare, is_digit);
    return std::ranges::none_of(kOwnWords,
                                [&](auto words) { return words.find(bare) != words.npos; });
}

std::string demangled(const char* symbol)
{
    if (std::optional<std::string> rust = rust_v0_name(symbol, kMaxName))
        return *rust;
    if (symbol[0] != '_' || symbol[1] != 'Z' || std::strlen(symbol) > kMaxMangled)
        return symbol;
    Output output;
    if (!demangle_into(output, symbol))
        return symbol;
    std::string_view name(output.text, output.size);
    if (std::string rust = rust_name(name); !rust.empty())
        return rust;
    std::string result(name);
    if (output.size == kMaxName)
        result += "...";
    return result;
}

} // namespace corebox
