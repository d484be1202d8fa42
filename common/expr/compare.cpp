// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Comparisons of numbers, texts, addresses and columns with units, and `in`.
#include "base/text.hpp"
#include "expr/arithmetic.hpp"
#include "expr/check.hpp"
#include <algorithm>
#include <cstring>
#include <regex.h>

namespace corebox::expr
{

namespace
{

Sign mirrored(Sign sign)
{
    switch (sign) {
    case Sign::less:
        return Sign::greater;
    case Sign::less_equal:
        return Sign::greater_equal;
    case Sign::greater:
        return Sign::less;
    case Sign::greater_equal:
        return Sign::less_equal;
    default:
        return sign;
    }
}

template <class Join>
NodeId join(std::span<const NodeId> tests, Join&& by)
{
    if (tests.size() == 1)
        return tests[0];
    const std::size_t half = (tests.size() + 1) / 2;
    const NodeId left = join(tests.first(half), by);
    return by(left, join(tests.subspan(half), by));
}

} // namespace

NodeId Checker::compare_numbers(Sign sign, NodeId a, NodeId b)
{
    switch (sign) {
    case Sign::equal:
        return make_relation(code_, Op::equal, a, b);
    case Sign::not_equal:
        return make_relation(code_, Op::not_equal, a, b);
    case Sign::less:
        return make_relation(code_, Op::less, a, b);
    case Sign::less_equal:
        return make_relation(code_, Op::less_or_equal, a, b);
    case Sign::greater:
        return make_relation(code_, Op::less, b, a);
    default:
        return make_relation(code_, Op::less_or_equal, b, a);
    }
}

NodeId Checker::compare(const Tree& tree, Sign sign, Operand a, Operand b)
{
    using Kind = Operand::Kind;
    if (sign == Sign::tilde || sign == Sign::matches) {
        if (b.kind != Kind::string)
            refuse(b, cat("expected a pattern in double quotes after '", tree.token->word, "'"));
        return compare_text(tree, sign, a, b);
    }
    if (a.kind == Kind::string || a.kind == Kind::address ||
        (a.kind == Kind::literal && b.kind != Kind::literal)) {
        std::swap(a, b);
        sign = mirrored(sign);
    }
    if (b.kind == Kind::string)
        return compare_text(tree, sign, a, b);
    if (b.kind == Kind::address && a.kind == Kind::text && names_.address)
        if (const auto column = names_.address(a.node))
            return compare_column(tree, sign, *column, b);
    if (b.kind == Kind::address)
        return compare_address(tree, sign, a, b);
    if (const auto test = compare_units(sign, a, b))
        return *test;
    for (const Operand* o : {&a, &b})
        if (o->kind == Kind::text ||
            (o->kind == Kind::place && types_[o->type].kind == Type::Kind::array))
            refuse(*o, cat("a number is compared with ", describe(*o)),
                   text_of(*o) != NodeId::none ? "texts are in double quotes" : "");
    a = value_of(a);
    b = value_of(b);
    if (types_[a.type].kind == Type::Kind::pointer || types_[b.type].kind == Type::Kind::pointer)
        return compare_pointers(tree, sign, a, b);
    const NodeId x = number_of(a);
    return compare_numbers(sign, x, number_of(b));
}

NodeId Checker::compare_pointers(const Tree&, Sign sign, const Operand& a, const Operand& b)
{
    const NodeId x = number_of(a), y = number_of(b);
    const auto is_null = [this](NodeId n) { return is_constant(code_, n) && code_[n].value == 0; };
    if (sign == Sign::equal || sign == Sign::not_equal) {
        const Op op = sign == Sign::equal ? Op::equal : Op::not_equal;
        if (is_null(y))
            return make_comparison(code_, op, x, make_constant(code_, 0, a.type));
        if (is_null(x))
            return make_comparison(code_, op, y, make_constant(code_, 0, b.type));
    }
    return compare_numbers(sign, x, y);
}

NodeId Checker::compare_text(const Tree& tree, Sign sign, const Operand& operand,
                             const Operand& literal)
{
    const std::string& wanted = literal.token->text;
    if (operand.kind == Operand::Kind::string)
        refuse(tree, "both sides are texts as they are written");
    const NodeId text = text_of(operand);
    if (text == NodeId::none) {
        const Operand value = value_of(operand);
        const bool may_point = value.kind == Operand::Kind::value && types_[value.type].size == 8;
        refuse(operand, cat("a text is compared with a text, this is ", describe(operand)),
               may_point ? "str(value) is the text at an address" : "");
    }
    Op op = Op::text_equal;
    switch (sign) {
    case Sign::equal:
        break;
    case Sign::not_equal:
        op = Op::text_differs;
        break;
    case Sign::tilde:
        op = Op::glob;
        for (std::size_t i = 0; i < wanted.size(); i++)
            if (wanted[i] == '\\')
                i++;
            else if (wanted[i] == '[' && (i = wanted.find(']', i + 2)) == wanted.npos)
                refuse(literal, "'[' without ']' in the pattern");
        break;
    case Sign::matches: {
        op = Op::regex;
        regex_t compiled;
        if (const int error = ::regcomp(&compiled, wanted.c_str(), REG_EXTENDED | REG_NOSUB)) {
            char reason[100];
            ::regerror(error, &compiled, reason, sizeof reason);
            refuse(literal, cat("malformed regular expression: ", reason));
        }
        ::regfree(&compiled);
        break;
    }
    default:
        refuse(tree, "texts are compared by == and != and ~ and =~ only");
    }
    const std::uint32_t size = code_[text].op == Op::text ? code_[text].size : 0;
    if (op == Op::text_equal && size != 0 && wanted.size() > size)
        refuse(literal,
               cat("never equal: the text has at most ", size, " bytes, this has ", wanted.size()));
    return code_.add({.op = op,
                      .type = types_.integer(4, true),
                      .at = tree.at,
                      .length = tree.length,
                      .a = text,
                      .value = code_.add_text(wanted)});
}

namespace
{
// Which bits count of so many bytes of an address that begin at byte `at`, as they lie in memory.
std::uint64_t mask_of(const Address& address, std::uint32_t at, std::uint32_t bytes)
{
    std::uint64_t mask = 0;
    for (std::uint32_t i = 0; i < bytes; i++) {
        const int bits = std::clamp(int(address.prefix) - int(at + i) * 8, 0, 8);
        mask |= std::uint64_t(std::uint8_t(0xff00 >> bits)) << (8 * i);
    }
    return mask;
}
} // namespace

NodeId Checker::compare_column(const Tree& tree, Sign sign, const AddressParts& column,
                               const Operand& literal)
{
    if (sign != Sign::equal && sign != Sign::not_equal)
        refuse(tree, "addresses are compared by == and != and in only");
    const Address& address = literal.token->address;
    if (address.size != 4 && address.size != 16)
        refuse(literal, "this is no address of IPv4 or IPv6");
    const TypeId type = types_.integer(8, false);
    const NodeId zero = make_int(code_, 0);
    // Of the version, and of those words of which bits count.
    std::vector<NodeId> tests{
        compare_numbers(sign, column.is_v6, address.size == 16 ? make_int(code_, 1) : zero)};
    for (std::uint32_t at = 0; at < address.size; at += 8) {
        const std::uint32_t bytes = std::min(address.size - at, 8u);
        const std::uint64_t mask = mask_of(address, at, bytes);
        std::uint64_t word = 0;
        std::memcpy(&word, address.bytes.data() + at, bytes);
        if (!mask)
            continue;
        const NodeId value = column.words[at / 8];
        const NodeId masked = mask == ~0ull
                                  ? value
                                  : make_arithmetic(code_, Op::bit_and, value,
                                                    make_constant(code_, std::int64_t(mask), type));
        tests.push_back(
            compare_numbers(sign, masked, make_constant(code_, std::int64_t(word & mask), type)));
    }
    return join(std::span<const NodeId>(tests), [&](NodeId a, NodeId b) {
        return sign == Sign::equal ? make_and(code_, a, b) : make_or(code_, a, b);
    });
}

// Words of the address as they lie in memory.
NodeId Checker::compare_address(const Tree& tree, Sign sign, const Operand& operand,
                                const Operand& literal)
{
    if (sign != Sign::equal && sign != Sign::not_equal)
        refuse(tree, "addresses are compared by == and != and in only");
    Address address = literal.token->address;
    Operand o = operand;
    // What a pointer to a structure such as in6_addr points to.
    if (o.kind != Operand::Kind::place || types_[o.type].kind == Type::Kind::pointer) {
        o = value_of(o);
        const Type& type = types_[o.type];
        if (type.kind == Type::Kind::pointer && type.target != TypeId::none) {
            o.kind = Operand::Kind::place;
            o.bit = 0;
            const bool is_bytes = is_byte(types_[type.target]);
            o.type = is_bytes ? types_.array_of(type.target, address.size) : type.target;
        }
    }
    const std::uint32_t size = types_[o.type].size;
    const bool is_number = o.kind == Operand::Kind::value && types_[o.type].is_number();
    const bool is_memory = o.kind == Operand::Kind::place && !o.bits &&
                           (types_[o.type].kind == Type::Kind::structure ||
                            types_[o.type].kind == Type::Kind::array || size == 4);
    if (address.size == 4 && is_memory && size == 16) { // ::ffff:a.b.c.d
        Address mapped{.size = 16, .prefix = std::uint8_t(address.prefix + 96)};
        mapped.bytes[10] = mapped.bytes[11] = 0xff;
        std::memcpy(mapped.bytes.data() + 12, address.bytes.data(), 4);
        address = mapped;
    }
    const bool is_chars = o.kind == Operand::Kind::place && types_[types_[o.type].target].is_char;
    const bool fits = is_chars && address.size != 6 ? false
                      : address.size == 6           ? size >= 6 && is_memory
                      : is_memory                   ? size == address.size
                                                    : is_number && size >= 4 && address.size == 4;
    if (!fits)
        refuse(operand,
               cat("an address of ", address.size, " bytes is compared with ", describe(operand)));
    std::vector<NodeId> tests;
    for (std::uint32_t at = 0; at < address.size;) {
        const std::uint32_t bytes = address.size - at >= 8 ? 8 : address.size - at >= 4 ? 4 : 2;
        std::uint64_t word = 0;
        std::memcpy(&word, address.bytes.data() + at, bytes);
        const std::uint64_t mask = mask_of(address, at, bytes);
        const TypeId type = types_.integer(bytes, false);
        if (mask != 0) {
            const NodeId value = is_number ? convert(code_, o.node, type)
                                           : make_load(code_, o.node, o.bit / 8 + at, type);
            const bool is_whole = mask == ~0ull >> (64 - 8 * bytes);
            const NodeId masked =
                is_whole ? value
                         : make_arithmetic(code_, Op::bit_and, value,
                                           make_constant(code_, std::int64_t(mask), type));
            tests.push_back(compare_numbers(sign, masked,
                                            make_constant(code_, std::int64_t(word & mask), type)));
        }
        at += bytes;
    }
    if (tests.empty())
        return make_constant(code_, sign == Sign::equal, types_.integer(4, true));
    return join(std::span<const NodeId>(tests), [&](NodeId a, NodeId b) {
        return sign == Sign::equal ? make_and(code_, a, b) : make_or(code_, a, b);
    });
}

// The limit of a range, in the units of what lies in it.
NodeId Checker::limit_of(TreeId id, const Operand& value, bool is_lower)
{
    const Operand o = check(id);
    if (o.kind != Operand::Kind::literal || !has_unit(value))
        return number_of(o);
    bool is_cut = false;
    const NodeId limit = scale(o, value.measure, is_cut);
    return is_cut && is_lower ? make_int(code_, code_[limit].value + 1) : limit;
}

NodeId Checker::is_between(const Operand& value, const Tree& range)
{
    const NodeId x = has_unit(value) ? raw_of(value) : number_of(value),
                 from = limit_of(range.parts[0], value, true),
                 to = limit_of(range.parts[1], value, false);
    const TypeId type =
        common_type(code_, code_[x].type, common_type(code_, code_[from].type, code_[to].type));
    const NodeId wide = convert(code_, x, type), low = convert(code_, from, type),
                 high = convert(code_, to, type);
    if (!is_constant(code_, low) || !is_constant(code_, high)) {
        const NodeId above = make_comparison(code_, Op::less_or_equal, low, wide);
        return make_and(code_, above, make_comparison(code_, Op::less_or_equal, wide, high));
    }
    if (!*calculate(Op::less_or_equal, types_[type], code_[low].value, code_[high].value))
        refuse(range, "the range is empty");
    // One comparison: (unsigned)(x - low) <= high - low.
    const TypeId distance = types_.integer(types_[type].size, false);
    const auto above_low = [&](NodeId node) {
        node = convert(code_, node, distance);
        return code_[low].value == 0 ? node
                                     : make_binary(code_, Op::subtract, node,
                                                   convert(code_, low, distance), distance);
    };
    return make_comparison(code_, Op::less_or_equal, above_low(wide), above_low(high));
}

// What the value is as a number of type `x` if the two can be equal, by C's conversions.
std::optional<std::int64_t> Checker::as_equal(TypeId x, NodeId constant) const
{
    const Type& common = types_[common_type(code_, x, code_[constant].type)];
    const std::int64_t wide = wrap(code_[constant].value, common), narrow = wrap(wide, types_[x]);
    return wrap(narrow, common) == wide ? std::optional(narrow) : std::nullopt;
}

Operand Checker::check_among(const Tree& tree)
{
    Operand value = check(tree.parts[0]);
    // A number is read once, whatever it is compared with.
    NodeId x = NodeId::none;
    if (value.kind == Operand::Kind::value || value.kind == Operand::Kind::literal ||
        (value.kind == Operand::Kind::place && types_[value.type].is_number())) {
        if (!has_unit(value))
            value = value_of(value);
        x = value.node;
    }
    const TypeId type = x == NodeId::none ? TypeId::none : promoted(code_, code_[x].type);
    std::vector<NodeId> tests;
    std::vector<std::int64_t> set;
    for (std::size_t i = 1; i < tree.parts.size(); i++) {
        const Tree& choice = syntax_[tree.parts[i]];
        if (choice.form == Form::interval) {
            tests.push_back(is_between(value, choice));
            continue;
        }
        const NodeId test = compare(choice, Sign::equal, value, check(tree.parts[i]));
        const Node& n = code_[test];
        if (x != NodeId::none && n.op == Op::equal && is_constant(code_, n.b) &&
            types_[code_[n.a].type].is_number() && is_raw(n.a, x)) {
            if (const auto number = as_equal(type, n.b))
                set.push_back(*number);
        } else
            tests.push_back(test);
    }
    std::ranges::sort(set);
    set.erase(std::ranges::unique(set).begin(), set.end());
    if (set.size() == 1)
        tests.push_back(make_relation(code_, Op::equal, x, make_constant(code_, set[0], type)));
    else if (!set.empty())
        tests.push_back(code_.add({.op = Op::one_of,
                                   .type = types_.integer(4, true),
                                   .at = tree.at,
                                   .length = tree.length,
                                   .a = convert(code_, x, type),
                                   .value = code_.add_set(std::move(set))}));
    if (tests.empty())
        tests.push_back(make_int(code_, 0));
    return of_value(join(std::span<const NodeId>(tests),
                         [&](NodeId a, NodeId b) { return make_or(code_, a, b); }),
                    tree);
}

// Whether a node is x, but for conversions.
bool Checker::is_raw(NodeId node, NodeId x) const
{
    while (node != x && code_[node].op == Op::convert)
        node = code_[node].a;
    return node == x;
}

} // namespace corebox::expr
