// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "symbols/demangle_rust.hpp"

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace corebox
{
namespace
{

// Back references let a short symbol unfold without end; these bounds stop it.
constexpr int kMaxDepth = 200;
constexpr int kMaxSteps = 50'000;

std::string_view basic_type(char tag)
{
    switch (tag) {
    case 'a':
        return "i8";
    case 'b':
        return "bool";
    case 'c':
        return "char";
    case 'd':
        return "f64";
    case 'e':
        return "str";
    case 'f':
        return "f32";
    case 'h':
        return "u8";
    case 'i':
        return "isize";
    case 'j':
        return "usize";
    case 'l':
        return "i32";
    case 'm':
        return "u32";
    case 'n':
        return "i128";
    case 'o':
        return "u128";
    case 'p':
        return "_";
    case 's':
        return "i16";
    case 't':
        return "u16";
    case 'u':
        return "()";
    case 'v':
        return "...";
    case 'x':
        return "i64";
    case 'y':
        return "u64";
    case 'z':
        return "!";
    default:
        return {};
    }
}

void append_utf8(std::string& out, std::uint32_t point)
{
    if (point < 0x80) {
        out += static_cast<char>(point);
    } else if (point < 0x800) {
        out += static_cast<char>(0xc0 | point >> 6);
        out += static_cast<char>(0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
        out += static_cast<char>(0xe0 | point >> 12);
        out += static_cast<char>(0x80 | (point >> 6 & 0x3f));
        out += static_cast<char>(0x80 | (point & 0x3f));
    } else {
        out += static_cast<char>(0xf0 | point >> 18);
        out += static_cast<char>(0x80 | (point >> 12 & 0x3f));
        out += static_cast<char>(0x80 | (point >> 6 & 0x3f));
        out += static_cast<char>(0x80 | (point & 0x3f));
    }
}

// RFC 3492 with '_' for '-' as delimiter. Empty if malformed.
std::string from_punycode(std::string_view text)
{
    std::vector<std::uint32_t> points;
    std::size_t delimiter = text.rfind('_');
    if (delimiter != std::string_view::npos) {
        points.assign(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(delimiter));
        text.remove_prefix(delimiter + 1);
    }
    std::uint64_t n = 128, i = 0, bias = 72, damp = 700;
    while (!text.empty()) {
        std::uint64_t before = i, weight = 1;
        for (std::uint64_t k = 36;; k += 36) {
            if (text.empty())
                return {};
            char c = text.front();
            text.remove_prefix(1);
            std::uint64_t digit;
            if (c >= 'a' && c <= 'z') {
                digit = static_cast<std::uint64_t>(c - 'a');
            } else if (c >= '0' && c <= '9') {
                digit = static_cast<std::uint64_t>(c - '0') + 26;
            } else {
                return {};
            }
            i += digit * weight;
            std::uint64_t threshold = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
            if (digit < threshold)
                break;
            weight *= 36 - threshold;
            if (weight > 1u << 30 || i > 1u << 30)
                return {};
        }
        std::uint64_t size = points.size() + 1;
        std::uint64_t delta = (i - before) / damp;
        damp = 2;
        delta += delta / size;
        std::uint64_t k = 0;
        for (; delta > 35 * 26 / 2; k += 36)
            delta /= 35;
        bias = k + 36 * delta / (delta + 38);
        n += i / size;
        i %= size;
        if (n > 0x10ffff || (n >= 0xd800 && n <= 0xdfff))
            return {};
        points.insert(points.begin() + static_cast<std::ptrdiff_t>(i),
                      static_cast<std::uint32_t>(n));
        ++i;
    }
    std::string result;
    for (std::uint32_t point : points)
        append_utf8(result, point);
    return result;
}

// A recursive descent through the grammar that prints as it reads.
class Printer
{
public:
    Printer(std::string_view text, std::size_t limit) : text_(text), limit_(limit) {}

    std::optional<std::string> run()
    {
        path(true);
        // The crate that instantiated a generic is not part of the name.
        if (!stopped() && at_ < text_.size()) {
            silent_ = true;
            path(false);
        }
        if (full_)
            return out_ + "...";
        if (failed_ || at_ != text_.size())
            return std::nullopt;
        return std::move(out_);
    }

private:
    bool stopped() const { return failed_ || full_; }
    void fail() { failed_ = true; }
    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    bool take(char c)
    {
        if (peek() != c)
            return false;
        ++at_;
        return true;
    }
    char next()
    {
        if (at_ >= text_.size()) {
            fail();
            return '\0';
        }
        return text_[at_++];
    }
    void print(std::string_view text)
    {
        if (silent_ || stopped())
            return;
        out_ += text;
        full_ = out_.size() > limit_;
    }

    // "_" is 0, "0_" is 1, "a_" is 11, ...
    std::uint64_t base62()
    {
        if (take('_'))
            return 0;
        std::uint64_t value = 0;
        while (!stopped()) {
            char c = next();
            if (c == '_')
                return value + 1;
            unsigned digit;
            if (c >= '0' && c <= '9') {
                digit = static_cast<unsigned>(c - '0');
            } else if (c >= 'a' && c <= 'z') {
                digit = static_cast<unsigned>(c - 'a') + 10;
            } else if (c >= 'A' && c <= 'Z') {
                digit = static_cast<unsigned>(c - 'A') + 36;
            } else {
                fail();
                break;
            }
            if (value > (std::numeric_limits<std::uint64_t>::max() - digit) / 62)
                fail();
            value = value * 62 + digit;
        }
        return 0;
    }
    // A number behind `tag`, counted from 1; 0 if the tag is not there.
    std::uint64_t optional_base62(char tag) { return take(tag) ? base62() + 1 : 0; }

    struct Identifier {
        std::uint64_t disambiguator = 0;
        std::string name;
    };

    Identifier identifier()
    {
        Identifier result;
        result.disambiguator = optional_base62('s');
        bool punycode = take('u');
        std::size_t length = 0;
        if (peek() < '0' || peek() > '9')
            fail();
        if (!take('0')) {
            while (peek() >= '0' && peek() <= '9') {
                length = length * 10 + static_cast<std::size_t>(next() - '0');
                if (length > text_.size())
                    break;
            }
        }
        take('_');
        if (stopped() || length > text_.size() - at_) {
            fail();
            return result;
        }
        std::string_view bytes = text_.substr(at_, length);
        at_ += length;
        result.name = punycode ? from_punycode(bytes) : std::string(bytes);
        if (punycode && result.name.empty())
            fail();
        return result;
    }

    template <typename Read>
    void back_reference(std::size_t start, const Read& read)
    {
        std::uint64_t target = base62();
        if (stopped() || target >= start)
            return fail();
        // What is not printed need not be read again: that alone would take exponential time.
        if (silent_)
            return;
        std::size_t here = std::exchange(at_, static_cast<std::size_t>(target));
        read();
        at_ = here;
    }

    struct Level {
        explicit Level(Printer& printer) : printer_(printer)
        {
            if (++printer_.depth_ > kMaxDepth || ++printer_.steps_ > kMaxSteps)
                printer_.fail();
        }
        ~Level() { --printer_.depth_; }
        Printer& printer_;
    };

    // `value`: in an expression generic arguments need "::<".
    void path(bool value)
    {
        Level level(*this);
        std::size_t start = at_;
        if (stopped())
            return;
        switch (char tag = next()) {
        case 'C':
            print(identifier().name);
            break;
        case 'M':
        case 'X':
        case 'Y': {
            if (tag != 'Y') { // where the impl is written says nothing to a reader
                optional_base62('s');
                bool before = std::exchange(silent_, true);
                path(false);
                silent_ = before;
            }
            print("<");
            type();
            if (tag != 'M') {
                print(" as ");
                path(false);
            }
            print(">");
            break;
        }
        case 'N': {
            char space = next();
            path(value);
            Identifier name = identifier();
            if (space >= 'A' && space <= 'Z') {
                print("::{");
                print(space == 'C'   ? "closure"
                      : space == 'S' ? "shim"
                                     : std::string_view(&space, 1));
                if (!name.name.empty())
                    print(":" + name.name);
                print("#" + std::to_string(name.disambiguator) + "}");
            } else if (!name.name.empty()) {
                print("::" + name.name);
            }
            break;
        }
        case 'I':
            path(value);
            print(value ? "::<" : "<");
            list([&] { generic_argument(); });
            print(">");
            break;
        case 'B':
            back_reference(start, [&] { path(value); });
            break;
        default:
            fail();
        }
    }

    // Elements up to 'E', separated by commas; returns how many.
    template <typename Element>
    int list(const Element& element)
    {
        int count = 0;
        while (!stopped() && !take('E')) {
            if (count++ > 0)
                print(", ");
            element();
        }
        return count;
    }

    void generic_argument()
    {
        if (take('L'))
            return lifetime(base62());
        if (take('K'))
            return constant();
        type();
    }

    // De Bruijn: 1 is the innermost bound lifetime, 0 an erased one.
    void lifetime(std::uint64_t index)
    {
        if (index == 0)
            return print("'_");
        if (index > bound_)
            return fail();
        std::uint64_t depth = bound_ - index;
        if (depth < 26) {
            char name[] = {'\'', static_cast<char>('a' + depth)};
            return print({name, 2});
        }
        print("'_" + std::to_string(depth));
    }

    template <typename Body>
    void in_binder(const Body& body)
    {
        std::uint64_t before = bound_;
        std::uint64_t count = optional_base62('G');
        if (count > 1000)
            return fail();
        if (count > 0) {
            print("for<");
            for (std::uint64_t i = 0; i < count; ++i) {
                if (i > 0)
                    print(", ");
                ++bound_;
                lifetime(1);
            }
            print("> ");
        }
        body();
        bound_ = before;
    }

    void type()
    {
        Level level(*this);
        std::size_t start = at_;
        if (stopped())
            return;
        char tag = next();
        if (std::string_view basic = basic_type(tag); !basic.empty())
            return print(basic);
        switch (tag) {
        case 'A':
        case 'S':
            print("[");
            type();
            if (tag == 'A') {
                print("; ");
                constant();
            }
            print("]");
            break;
        case 'T':
            print("(");
            if (list([&] { type(); }) == 1)
                print(",");
            print(")");
            break;
        case 'R':
        case 'Q':
            print("&");
            if (take('L')) {
                if (std::uint64_t index = base62(); index != 0) {
                    lifetime(index);
                    print(" ");
                }
            }
            if (tag == 'Q')
                print("mut ");
            type();
            break;
        case 'P':
            print("*const ");
            type();
            break;
        case 'O':
            print("*mut ");
            type();
            break;
        case 'F':
            in_binder([&] { function_type(); });
            break;
        case 'D':
            print("dyn ");
            in_binder([&] {
                bool first = true;
                while (!stopped() && !take('E')) {
                    if (!std::exchange(first, false))
                        print(" + ");
                    dyn_trait();
                }
            });
            if (!take('L'))
                return fail();
            if (std::uint64_t index = base62(); index != 0) {
                print(" + ");
                lifetime(index);
            }
            break;
        case 'B':
            back_reference(start, [&] { type(); });
            break;
        default:
            at_ = start;
            path(false);
        }
    }

    void function_type()
    {
        if (take('U'))
            print("unsafe ");
        if (take('K')) {
            std::string abi = take('C') ? "C" : identifier().name;
            for (char& c : abi)
                c = c == '_' ? '-' : c;
            print("extern \"" + abi + "\" ");
        }
        print("fn(");
        list([&] { type(); });
        print(")");
        if (take('u'))
            return; // the unit type is not written
        print(" -> ");
        type();
    }

    // A trait with its generics and its associated types in one pair of brackets.
    void dyn_trait()
    {
        bool open = path_with_open_generics();
        while (!stopped() && take('p')) {
            print(open ? ", " : "<");
            open = true;
            print(identifier().name + " = ");
            type();
        }
        if (open)
            print(">");
    }

    bool path_with_open_generics()
    {
        Level level(*this);
        std::size_t start = at_;
        if (stopped())
            return false;
        if (take('B')) {
            bool open = false;
            back_reference(start, [&] { open = path_with_open_generics(); });
            return open;
        }
        if (!take('I')) {
            path(false);
            return false;
        }
        path(false);
        print("<");
        list([&] { generic_argument(); });
        return true;
    }

    void constant()
    {
        Level level(*this);
        std::size_t start = at_;
        if (stopped())
            return;
        char tag = next();
        if (tag == 'p')
            return print("_");
        if (tag == 'B')
            return back_reference(start, [&] { constant(); });
        std::string_view kind = basic_type(tag);
        bool is_signed =
            tag == 'a' || tag == 's' || tag == 'l' || tag == 'x' || tag == 'n' || tag == 'i';
        bool is_unsigned =
            tag == 'h' || tag == 't' || tag == 'm' || tag == 'y' || tag == 'o' || tag == 'j';
        if (!is_signed && !is_unsigned && kind != "bool" && kind != "char")
            return fail();
        bool negative = is_signed && take('n');
        std::size_t digits = at_;
        std::uint64_t value = 0;
        while (!stopped() && !take('_')) {
            char c = next();
            bool number = c >= '0' && c <= '9';
            if (!number && (c < 'a' || c > 'f'))
                return fail();
            value = value << 4 | static_cast<std::uint64_t>(number ? c - '0' : c - 'a' + 10);
        }
        if (stopped())
            return;
        std::size_t length = at_ - 1 - digits;
        if (kind == "bool") {
            return value > 1 ? fail() : print(value == 1 ? "true" : "false");
        }
        if (kind == "char") {
            std::string text = "'";
            if (value > 0x10ffff)
                return fail();
            append_utf8(text, static_cast<std::uint32_t>(value));
            return print(text + "'");
        }
        if (negative)
            print("-");
        if (length > 16)
            return print("0x" + std::string(text_.substr(digits, length)));
        print(std::to_string(value));
    }

    std::string_view text_;
    std::size_t limit_;
    std::size_t at_ = 0;
    std::string out_;
    std::uint64_t bound_ = 0; // lifetimes in scope
    int depth_ = 0;
    int steps_ = 0;
    bool silent_ = false;
    bool failed_ = false;
    bool full_ = false;
};

} // namespace

std::optional<std::string> rust_v0_name(std::string_view symbol, std::size_t limit)
{
    if (!symbol.starts_with("_R"))
        return std::nullopt;
    symbol.remove_prefix(2);
    // Back references count from here. ".llvm.123" and the like are the compiler's.
    symbol = symbol.substr(0, symbol.find_first_of(".$"));
    // A digit would be the version of a later mangling.
    if (symbol.empty() || symbol.front() < 'A' || symbol.front() > 'Z')
        return std::nullopt;
    return Printer(symbol, limit).run();
}

} // namespace corebox
