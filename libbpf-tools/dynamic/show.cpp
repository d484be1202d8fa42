// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "show.hpp"
#include "base/text.hpp"
#include "output/escape.hpp"
#include "output/output.hpp"
#include <algorithm>
#include <arpa/inet.h>
#include <cstring>

namespace corebox
{
namespace
{
using expr::Enumerator;
using expr::Member;
using Shows = expr::Show;
using expr::Type;
using expr::TypeId;
using Bytes = std::span<const std::byte>;

constexpr unsigned kMostDepth = 12;
constexpr std::size_t kMostElements = 64; // of an array that are shown

std::string_view as_text(Bytes bytes)
{
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return text.substr(0, text.find('\0'));
}

bool is_zero(Bytes bytes)
{
    return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte(0); });
}

// The number in the first bytes, extended by its type.
std::uint64_t number_in(Bytes bytes, const Type& type)
{
    std::uint64_t n = 0;
    const std::size_t size = std::min<std::size_t>({type.size, bytes.size(), sizeof n});
    std::memcpy(&n, bytes.data(), size);
    if (!type.is_signed || size == 0 || size == sizeof n)
        return n;
    const unsigned unused = unsigned(64 - size * 8);
    return std::uint64_t(std::int64_t(n << unused) >> unused);
}

std::string to_hex_text(Bytes bytes, std::string_view separator = {})
{
    constexpr char kHex[] = "0123456789abcdef";
    std::string out;
    for (const std::byte b : bytes) {
        out += out.empty() ? std::string_view() : separator;
        out += kHex[std::uint8_t(b) >> 4];
        out += kHex[std::uint8_t(b) & 15];
    }
    return out;
}

std::string to_address(Bytes bytes)
{
    char text[INET6_ADDRSTRLEN] = "";
    ::inet_ntop(bytes.size() == 4 ? AF_INET : AF_INET6, bytes.data(), text, sizeof text);
    return text;
}

std::string_view enumerator_of(const expr::Types& types, TypeId enumeration, std::uint64_t number)
{
    // Of an enumeration of 4 bytes the numbers have 4.
    const bool is_short = types[enumeration].size <= 4;
    for (const Enumerator& e : types.enumerators(enumeration))
        if (is_short ? std::uint32_t(e.value) == std::uint32_t(number)
                     : std::uint64_t(e.value) == number)
            return e.name;
    return {};
}

class ValueWriter
{
public:
    enum class Look : std::uint8_t { line, lines, json };

    ValueWriter(std::string& out, const expr::Types& types, Look look, std::size_t indent = 0)
        : out_(out), types_(types), json_(look == Look::json), lines_(look == Look::lines),
          indent_(indent)
    {
    }

    void put(TypeId type, Bytes bytes, unsigned depth = 0)
    {
        const Type& t = types_[type];
        if (depth > kMostDepth)
            return unknown();
        switch (t.kind) {
        case Type::Kind::structure:
            return put_structure(type, bytes, depth);
        case Type::Kind::array:
            return put_array(t, bytes, depth);
        case Type::Kind::floating:
        case Type::Kind::none:
            return unknown();
        default:
            return put_number(type, number_in(bytes, t));
        }
    }

private:
    void unknown() { out_ += json_ ? "null" : "?"; }

    void quoted(std::string_view text)
    {
        if (json_)
            return put_json_string(out_, text);
        if (lines_)
            return escape_quoted(out_, text, false);
        out_ += '"';
        out_ += text;
        out_ += '"';
    }

    void begin_line()
    {
        out_ += '\n';
        out_.append(indent_, ' ');
    }

    void put_number(TypeId type, std::uint64_t n)
    {
        const Type& t = types_[type];
        if (t.kind == Type::Kind::boolean) {
            out_ += n ? "true" : "false";
        } else if (t.kind == Type::Kind::pointer && !json_) {
            out_ += to_hex(n);
        } else if (const auto name = t.kind == Type::Kind::enumeration
                                         ? enumerator_of(types_, type, n)
                                         : std::string_view();
                   !name.empty()) {
            json_ ? put_json_string(out_, name) : void(out_ += name);
        } else {
            out_ += t.is_signed ? cat(std::int64_t(n)) : cat(n);
        }
    }

    void put_array(const Type& t, Bytes bytes, unsigned depth)
    {
        const Type& element = types_[t.target];
        if (element.is_char)
            return quoted(as_text(bytes));
        const std::size_t size = element.size;
        const std::size_t count = size ? bytes.size() / size : 0;
        out_ += '[';
        for (std::size_t i = 0; i < std::min(count, kMostElements); i++) {
            out_ += i ? "," : "";
            put(t.target, bytes.subspan(i * size, size), depth + 1);
        }
        out_ += count > kMostElements && !json_ ? ",...]" : "]";
    }

    void put_structure(TypeId type, Bytes bytes, unsigned depth)
    {
        out_ += '{';
        bool is_first = true;
        indent_ += 2;
        put_members(type, bytes, depth, is_first);
        indent_ -= 2;
        if (lines_ && !is_first)
            begin_line();
        out_ += '}';
    }

    void put_members(TypeId type, Bytes bytes, unsigned depth, bool& is_first)
    {
        for (const Member& m : types_.members(type)) {
            const Type& t = types_[m.type];
            const std::size_t at = m.bit / 8;
            if (depth > kMostDepth || at >= bytes.size())
                continue;
            const Bytes rest = bytes.subspan(at);
            const Bytes own = rest.first(std::min<std::size_t>(t.size, rest.size()));
            if (m.name.empty() && t.kind == Type::Kind::structure) {
                put_members(m.type, own, depth + 1, is_first);
                continue;
            }
            const std::uint64_t bits = m.bits ? bits_of(m, bytes) : 0;
            if (own.size() < t.size || (!json_ && (m.bits ? bits == 0 : is_zero(own))))
                continue;
            if (lines_)
                begin_line();
            else
                out_ += is_first ? "" : json_ ? "," : ", ";
            is_first = false;
            out_ += json_ ? cat('"', m.name, "\":") : cat(".", m.name, " = ");
            m.bits ? put_number(m.type, bits) : put(m.type, own, depth + 1);
        }
    }

    std::uint64_t bits_of(const Member& m, Bytes bytes) const
    {
        std::uint64_t n = 0;
        for (unsigned i = 0; i < m.bits; i++) {
            const std::size_t bit = m.bit + i;
            if (bit / 8 < bytes.size())
                n |= std::uint64_t(std::uint8_t(bytes[bit / 8]) >> bit % 8 & 1) << i;
        }
        const unsigned unused = 64 - m.bits;
        return types_[m.type].is_signed ? std::uint64_t(std::int64_t(n << unused) >> unused) : n;
    }

    std::string& out_;
    const expr::Types& types_;
    bool json_, lines_;
    std::size_t indent_; // of members, with `lines_`
};

} // namespace

void append_value(std::string& out, const expr::Types& types, TypeId type, Bytes bytes, bool json)
{
    using Look = ValueWriter::Look;
    ValueWriter(out, types, json ? Look::json : Look::line).put(type, bytes);
}

void append_lines(std::string& out, const expr::Types& types, TypeId type, Bytes bytes,
                  std::size_t indent)
{
    ValueWriter(out, types, ValueWriter::Look::lines, indent).put(type, bytes);
    if (bytes.size() < types[type].size)
        out += cat(" /* ", bytes.size(), " of ", types[type].size, " bytes */");
}

std::string name_flags(const expr::Types& types, TypeId enumeration, std::uint64_t bits)
{
    std::string out;
    for (const Enumerator& e : types.enumerators(enumeration)) {
        const auto value = std::uint64_t(e.value);
        if (value == 0 || (bits & value) != value)
            continue;
        out += cat(out.empty() ? "" : "|", e.name);
        bits &= ~value;
    }
    if (bits || out.empty())
        out += cat(out.empty() ? "" : "|", bits ? to_hex(bits) : "0");
    return out;
}

std::string ArgumentWriter::name_of(const Captured& a, std::uint64_t number, stack_task task)
{
    switch (a.show) {
    case Shows::flags:
        return name_flags(types_, a.named_by, number);
    case Shows::error: {
        const auto code = -std::int64_t(number), low = -std::int64_t(std::int32_t(number));
        const auto is_error = [](std::int64_t n) { return n > 0 && n < 4096; };
        return is_error(code) ? errno_name(int(code)) : is_error(low) ? errno_name(int(low)) : "";
    }
    case Shows::ip: {
        const auto address = std::uint32_t(number);
        return to_address(std::as_bytes(std::span(&address, 1)));
    }
    case Shows::kernel_symbol: {
        if (!kernel_)
            kernel_ = KernelSymbols::load();
        const auto frame = kernel_->lookup(number);
        if (!frame)
            return to_hex(number);
        return cat(frame->name, frame->offset ? cat("+", to_hex(frame->offset)) : "",
                   frame->module.empty() ? "" : cat(" [", frame->module, "]"));
    }
    case Shows::user_symbol: {
        user_.note(task);
        const UserFrame frame = user_.lookup(task, number, At::instruction);
        if (!frame.resolved)
            return frame.object.empty() ? to_hex(number) : std::string(frame.name);
        return cat(frame.name, frame.offset ? cat("+", to_hex(frame.offset)) : "",
                   frame.object.empty() ? "" : cat(" [", frame.object, "]"));
    }
    default:
        if (a.named_by == TypeId::none)
            return {};
        return std::string(enumerator_of(types_, a.named_by, number));
    }
}

std::string ArgumentWriter::shown_bytes(const Captured& a, Bytes bytes) const
{
    if (a.show == Shows::ip)
        return to_address(bytes);
    return to_hex_text(bytes, a.show == Shows::mac ? ":" : "");
}

void ArgumentWriter::append_text(std::string& out, const Captured& a, const CapturedValue& value,
                                 stack_task task)
{
    const Conversion padded{.left = a.how.left, .width = a.how.width, .precision = a.how.precision};
    if (value.missing)
        return append_padded(out, {.left = a.how.left, .width = a.how.width}, "-");
    if (a.form == Captured::Form::text)
        return append_padded(out, padded, value.text());
    if (a.form == Captured::Form::bytes) {
        if (a.show != Shows::structure)
            return append_padded(out, padded, shown_bytes(a, value.bytes));
        std::string text;
        append_value(text, types_, a.type, value.bytes, false);
        return append_padded(out, padded, text);
    }
    const std::string name = a.how.letter == 's' || a.show != Shows::number
                                 ? name_of(a, value.number, task)
                                 : std::string();
    if (!name.empty())
        return append_padded(out, padded, name);
    Conversion how = a.how;
    if (!how.is_number() || how.letter == 's')
        how = {.letter = 'd', .bytes = 8, .left = how.left, .width = how.width};
    append_number(out, how, value.number, types_[a.type].is_signed);
}

void ArgumentWriter::append_json(std::string& out, const Captured& a, const CapturedValue& value,
                                 stack_task task)
{
    if (value.missing) {
        out += "null";
        return;
    }
    if (a.form == Captured::Form::text) {
        out += '"';
        const bool is_lossy = escape_json(out, value.text());
        out += '"';
        if (is_lossy) {
            put_json_key(out, cat(a.name, "_hex"));
            put_json_string(out, to_hex_text(value.bytes));
        }
        return;
    }
    if (a.form == Captured::Form::bytes) {
        if (a.show == Shows::structure)
            append_value(out, types_, a.type, value.bytes, true);
        else
            put_json_string(out, shown_bytes(a, value.bytes));
        return;
    }
    const Type& type = types_[a.type];
    const std::string name = a.how.letter == 's' || a.show != Shows::number
                                 ? name_of(a, value.number, task)
                                 : std::string();
    if (!name.empty())
        return put_json_string(out, name);
    if (type.kind == Type::Kind::boolean) {
        out += value.number ? "true" : "false";
        return;
    }
    // The same number as in the message, in digits of ten.
    const bool is_negatable = a.how.letter == 'd' || a.how.letter == 's';
    append_number(out,
                  {.letter = is_negatable && (type.is_signed || a.how.letter == 'd') ? 'd' : 'u',
                   .bytes = a.how.letter == 's' ? std::uint8_t(8) : a.how.bytes},
                  value.number, type.is_signed);
}

} // namespace corebox
