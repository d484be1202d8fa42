// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "expr/evaluate.hpp"
#include "expr/glob.hpp"
#include <algorithm>
#include <array>
#include <cstring>
#include <regex.h>

namespace corebox::expr
{

struct Regexes::Compiled {
    explicit Compiled(const std::string& pattern)
        : is_valid(::regcomp(&regex, pattern.c_str(), REG_EXTENDED | REG_NOSUB) == 0)
    {
    }
    ~Compiled()
    {
        if (is_valid)
            ::regfree(&regex);
    }
    Compiled(const Compiled&) = delete;
    Compiled& operator=(const Compiled&) = delete;

    regex_t regex{};
    bool is_valid;
};

Regexes::Regexes() = default;
Regexes::~Regexes() = default;

bool Regexes::matches(const Code& code, std::int64_t number, const std::string& text)
{
    if (compiled_.size() <= std::size_t(number))
        compiled_.resize(std::size_t(number) + 1);
    auto& compiled = compiled_[std::size_t(number)];
    if (!compiled)
        compiled = std::make_unique<Compiled>(std::string(code.text(number)));
    return compiled->is_valid && ::regexec(&compiled->regex, text.c_str(), 0, nullptr, 0) == 0;
}

namespace
{

// The longest text that has no length of its own.
constexpr std::uint32_t kMaxText = 4096;
// Addresses above are error codes (include/linux/err.h).
constexpr std::uint64_t kLastAddress = std::uint64_t(-4096);

enum class State : std::uint8_t { present, missing, undecided };

struct Number {
    State state = State::present;
    std::int64_t value = 0;
};
struct Text {
    State state = State::present;
    std::string value{};
};

// What an operation on both lacks: a missing value makes a test false whatever the other is.
State join(State a, State b)
{
    return a == State::missing || b == State::missing ? State::missing : std::max(a, b);
}

Truth to_truth(bool is_true) { return is_true ? Truth::yes : Truth::no; }

// The lowest `bits` of it, extended.
std::int64_t extend(std::uint64_t value, unsigned bits, bool is_signed)
{
    if (bits == 0 || bits >= 64)
        return std::int64_t(value);
    value <<= 64 - bits;
    return is_signed ? std::int64_t(value) >> (64 - bits) : std::int64_t(value >> (64 - bits));
}

class Evaluation
{
public:
    Evaluation(const Code& code, const World& world) : code_(code), world_(world) {}

    Truth test(NodeId id) const;
    Number number(NodeId id) const;
    Text text(NodeId id) const;

private:
    struct Place {
        State state = State::present;
        Op base = Op::constant;    // context or record, else an address
        std::uint64_t address = 0; // or the offset
    };

    const Type& type(NodeId id) const { return code_.type(id); }
    std::int64_t cut(const Type& t, std::uint64_t value) const
    {
        return t.kind == Type::Kind::boolean ? std::int64_t(value != 0)
                                             : extend(value, t.size * 8, t.is_signed);
    }
    Place place(NodeId pointer, std::int64_t offset) const;
    State read(const Place& place, Space space, std::span<std::byte> to) const;
    Number load(const Node& n) const;
    Number column(std::int64_t number) const;
    Number arithmetic(const Node& n) const;
    Text load_text(const Node& n) const;
    Truth compare(const Node& n) const;
    Truth is_one_of(const Node& n) const;
    Truth test_text(const Node& n) const;
    Truth is_defined(NodeId id) const;
    bool is_text(NodeId id) const;

    const Code& code_;
    const World& world_;
};

Evaluation::Place Evaluation::place(NodeId pointer, std::int64_t offset) const
{
    while (code_[pointer].op == Op::address) {
        offset += code_[pointer].value;
        pointer = code_[pointer].a;
    }
    const Op op = code_[pointer].op;
    if (op == Op::context || op == Op::record)
        return {State::present, op, std::uint64_t(offset)};
    const Number base = number(pointer);
    if (base.state != State::present)
        return {base.state};
    const auto address = std::uint64_t(base.value);
    if (address == 0 || address > kLastAddress)
        return {State::missing};
    return {State::present, Op::constant, address + std::uint64_t(offset)};
}

State Evaluation::read(const Place& place, Space space, std::span<std::byte> to) const
{
    if (place.state != State::present)
        return place.state;
    if (place.base == Op::constant) {
        if (!world_.read)
            return State::undecided;
        return world_.read(place.address, space, to) ? State::present : State::missing;
    }
    const auto from = place.base == Op::context ? world_.context : world_.record;
    if (from.empty())
        return State::undecided;
    if (place.address > from.size() || to.size() > from.size() - place.address)
        return State::missing;
    std::memcpy(to.data(), from.data() + place.address, to.size());
    return State::present;
}

Number Evaluation::load(const Node& n) const
{
    const Type& t = code_.types()[n.type];
    const std::size_t size = n.size ? n.size : t.size;
    std::uint64_t word = 0;
    if (size > sizeof word)
        return {State::missing};
    const State state = read(place(n.a, n.value), type(n.a).space,
                             std::as_writable_bytes(std::span(&word, 1)).first(size));
    if (n.bits)
        return {state, extend(word >> n.bit, n.bits, t.is_signed)};
    return {state, extend(word, t.size * 8, t.is_signed)};
}

Number Evaluation::column(std::int64_t number) const
{
    if (!world_.column)
        return {State::undecided};
    const Value v = world_.column(number);
    if (v.is_text() || v.kind == Value::Kind::list)
        return {State::missing};
    return {State::present, v.i};
}

Number Evaluation::arithmetic(const Node& n) const
{
    const Type& t = code_.types()[n.type];
    const Number a = number(n.a), b = number(n.b);
    if (const State state = join(a.state, b.state); state != State::present)
        return {state};
    const auto x = std::uint64_t(a.value), y = std::uint64_t(b.value);
    const unsigned width = t.size * 8;
    const auto shift = unsigned(y & (width - 1));
    std::uint64_t result = 0;
    switch (n.op) {
    case Op::add:
        result = x + y;
        break;
    case Op::subtract:
        result = x - y;
        break;
    case Op::multiply:
        result = x * y;
        break;
    case Op::divide:
    case Op::modulo: {
        if (y == 0)
            return {State::missing};
        const bool quotient = n.op == Op::divide;
        if (t.is_signed && b.value == -1) // the smallest number's quotient wraps
            result = quotient ? 0 - x : 0;
        else if (t.is_signed)
            result = std::uint64_t(quotient ? a.value / b.value : a.value % b.value);
        else
            result = quotient ? x / y : x % y;
        break;
    }
    case Op::bit_and:
        result = x & y;
        break;
    case Op::bit_or:
        result = x | y;
        break;
    case Op::bit_xor:
        result = x ^ y;
        break;
    case Op::shift_left:
        result = x << shift;
        break;
    default: // shift_right
        result = t.is_signed ? std::uint64_t(a.value >> shift) : x >> shift;
    }
    return {State::present, extend(result, width, t.is_signed)};
}

Number Evaluation::number(NodeId id) const
{
    const Node& n = code_[id];
    const Type& t = code_.types()[n.type];
    switch (n.op) {
    case Op::constant:
        return {State::present, n.value};
    case Op::context:
    case Op::record: // known here by what is in them only
        return {State::undecided};
    case Op::helper:
        if (!world_.helper)
            return {State::undecided};
        return {State::present, cut(t, world_.helper(n.helper))};
    case Op::column:
        return column(n.value);
    case Op::load:
        return load(n);
    case Op::address: {
        std::int64_t offset = n.value;
        NodeId pointer = n.a;
        for (; code_[pointer].op == Op::address; pointer = code_[pointer].a)
            offset += code_[pointer].value;
        Number a = number(pointer);
        if (offset != 0 && a.value == 0 && a.state == State::present)
            return {State::missing};
        a.value = std::int64_t(std::uint64_t(a.value) + std::uint64_t(offset));
        return a;
    }
    case Op::add:
    case Op::subtract:
    case Op::multiply:
    case Op::divide:
    case Op::modulo:
    case Op::bit_and:
    case Op::bit_or:
    case Op::bit_xor:
    case Op::shift_left:
    case Op::shift_right:
        return arithmetic(n);
    case Op::negate:
    case Op::complement: {
        Number a = number(n.a);
        const auto x = std::uint64_t(a.value);
        a.value = extend(n.op == Op::negate ? 0 - x : ~x, t.size * 8, t.is_signed);
        return a;
    }
    case Op::convert: {
        Number a = number(n.a);
        a.value = cut(t, std::uint64_t(a.value));
        return a;
    }
    case Op::swap_bytes: {
        Number a = number(n.a);
        const std::uint64_t swapped = __builtin_bswap64(std::uint64_t(a.value));
        a.value = cut(t, swapped >> (64 - n.size * 8));
        return a;
    }
    case Op::select: {
        const Truth truth = test(n.a);
        if (truth == Truth::undecided)
            return {State::undecided};
        return number(truth == Truth::yes ? n.b : n.c);
    }
    case Op::known:
        return test(n.a) == Truth::yes ? number(n.b) : Number{State::undecided};
    case Op::text:
        return {State::missing}; // a text is no number
    default: {                   // a test
        const Truth truth = test(id);
        if (truth == Truth::undecided)
            return {State::undecided};
        return {State::present, truth == Truth::yes};
    }
    }
}

Text Evaluation::load_text(const Node& n) const
{
    const Place begin = place(n.a, n.value);
    Text out{begin.state};
    const std::uint32_t limit = n.size ? n.size : kMaxText;
    while (out.state == State::present && out.value.size() < limit) {
        Place at = begin;
        at.address += out.value.size();
        std::byte c{};
        out.state = read(at, type(n.a).space, std::span(&c, 1));
        // A record ends where it was filled to.
        if (out.state == State::missing && begin.base == Op::record && !out.value.empty())
            out.state = State::present, c = {};
        if (c == std::byte{})
            break;
        out.value += char(c);
    }
    return out;
}

Text Evaluation::text(NodeId id) const
{
    const Node& n = code_[id];
    switch (n.op) {
    case Op::text:
        return load_text(n);
    case Op::column: {
        if (!world_.column)
            return {State::undecided};
        const Value v = world_.column(n.value);
        if (v.kind != Value::Kind::text && v.kind != Value::Kind::trusted)
            return {State::missing};
        return {State::present, std::string(v.str())};
    }
    case Op::select: {
        const Truth truth = test(n.a);
        if (truth == Truth::undecided)
            return {State::undecided};
        return text(truth == Truth::yes ? n.b : n.c);
    }
    case Op::known:
        return test(n.a) == Truth::yes ? text(n.b) : Text{State::undecided};
    default:
        return {State::missing};
    }
}

bool Evaluation::is_text(NodeId id) const
{
    const Node& n = code_[id];
    if (n.op == Op::select || n.op == Op::known)
        return is_text(n.b);
    if (n.op == Op::column && world_.column) {
        const Value::Kind kind = world_.column(n.value).kind;
        return kind == Value::Kind::text || kind == Value::Kind::trusted;
    }
    return n.op == Op::text;
}

Truth Evaluation::is_defined(NodeId id) const
{
    const State state = is_text(id) ? text(id).state : number(id).state;
    return state == State::undecided ? Truth::undecided : to_truth(state == State::present);
}

Truth Evaluation::compare(const Node& n) const
{
    const Number a = number(n.a), b = number(n.b);
    const State state = join(a.state, b.state);
    if (state != State::present)
        return state == State::missing ? Truth::no : Truth::undecided;
    if (n.op == Op::equal || n.op == Op::not_equal)
        return to_truth((a.value == b.value) == (n.op == Op::equal));
    const bool is_signed = type(n.a).is_signed;
    const auto x = std::uint64_t(a.value), y = std::uint64_t(b.value);
    if (n.op == Op::less)
        return to_truth(is_signed ? a.value < b.value : x < y);
    return to_truth(is_signed ? a.value <= b.value : x <= y);
}

Truth Evaluation::is_one_of(const Node& n) const
{
    const Number a = number(n.a);
    if (a.state != State::present)
        return a.state == State::missing ? Truth::no : Truth::undecided;
    return to_truth(std::ranges::count(code_.set(n.value), a.value) != 0);
}

Truth Evaluation::test_text(const Node& n) const
{
    const Text t = text(n.a);
    if (t.state != State::present)
        return t.state == State::missing ? Truth::no : Truth::undecided;
    const std::string_view other = code_.text(n.value);
    switch (n.op) {
    case Op::text_equal:
        return to_truth(t.value == other);
    case Op::text_differs:
        return to_truth(t.value != other);
    case Op::text_prefix:
        return to_truth(t.value.starts_with(other));
    case Op::glob:
        return to_truth(Glob(other).matches(t.value));
    default: { // regex
        Regexes once;
        return to_truth((world_.regexes ? *world_.regexes : once).matches(code_, n.value, t.value));
    }
    }
}

Truth Evaluation::test(NodeId id) const
{
    const Node& n = code_[id];
    switch (n.op) {
    case Op::logical_not: {
        const Truth a = test(n.a);
        return a == Truth::undecided ? a : to_truth(a == Truth::no);
    }
    case Op::logical_and:
    case Op::logical_or: {
        const Truth decides = to_truth(n.op == Op::logical_or);
        const Truth a = test(n.a);
        if (a == decides)
            return a;
        const Truth b = test(n.b);
        return b == decides ? b : std::max(a, b); // undecided if one is
    }
    case Op::truth:
        return test(n.a);
    case Op::equal:
    case Op::not_equal:
    case Op::less:
    case Op::less_or_equal:
        return compare(n);
    case Op::one_of:
        return is_one_of(n);
    case Op::defined:
        return is_defined(n.a);
    case Op::text_equal:
    case Op::text_differs:
    case Op::text_prefix:
    case Op::glob:
    case Op::regex:
        return test_text(n);
    default: { // a value: is it not 0
        const Number v = number(id);
        if (v.state == State::undecided)
            return Truth::undecided;
        return to_truth(v.state == State::present && v.value != 0);
    }
    }
}

} // namespace

Truth test(const Code& code, NodeId condition, const World& world)
{
    return Evaluation(code, world).test(condition);
}

std::optional<std::int64_t> compute(const Code& code, NodeId value, const World& world)
{
    const Number n = Evaluation(code, world).number(value);
    return n.state == State::present ? std::optional(n.value) : std::nullopt;
}

std::optional<std::string> compute_text(const Code& code, NodeId text, const World& world)
{
    Text t = Evaluation(code, world).text(text);
    return t.state == State::present ? std::optional(std::move(t.value)) : std::nullopt;
}

} // namespace corebox::expr
