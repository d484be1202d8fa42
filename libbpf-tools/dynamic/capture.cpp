// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "capture.hpp"
#include "base/text.hpp"
#include "expr/build.hpp"
#include <algorithm>
#include <cstring>

namespace corebox
{
namespace
{
using expr::Label;
using expr::NodeId;
using expr::Op;
using expr::Show;
using expr::Space;
using expr::TextError;
using expr::Type;
using expr::TypeId;

constexpr int kR0 = 0, kR1 = 1, kR2 = 2, kContext = 6, kRecord = 7;
constexpr std::uint32_t kLength = sizeof(std::uint32_t); // in front of a text
// Of a text that user space decides a condition by.
constexpr std::uint32_t kHiddenTextBytes = 1024;

std::uint32_t aligned(std::uint32_t n, std::uint32_t to) { return (n + to - 1) & ~(to - 1); }

// Runs `parse` on a piece; places in its errors become those of the whole.
template <class Parse>
auto parse_piece(const Piece& piece, Parse&& parse)
{
    try {
        return parse(piece.text);
    } catch (const TextError& error) {
        throw TextError(piece.at + error.at, error.length, error.what(), error.hint);
    }
}

bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

} // namespace

std::string name_of_argument(std::string_view expression, std::span<const Captured> others)
{
    std::string_view name = expression;
    while (name.ends_with(' '))
        name.remove_suffix(1);
    // The last name of a chain of members, or of the whole.
    const auto chain = std::ranges::all_of(name, [](char c) {
        return is_word(c) || std::string_view("->.$").find(c) != std::string_view::npos;
    });
    if (chain)
        while (!name.empty() && !std::ranges::all_of(name, is_word))
            name.remove_prefix(1);
    const std::string_view base = name.empty() ? expression : name;
    // It is a key of JSON as it stands.
    std::string plain(base);
    for (char& c : plain)
        c = c == '"' ? '\'' : c < ' ' || c > '~' || c == '\\' ? '?' : c;
    std::string key = plain;
    const auto is_taken = [&](const Captured& other) { return other.name == key; };
    for (unsigned n = 2; std::ranges::any_of(others, is_taken); n++)
        key = cat(plain, "_", n);
    return key;
}

void Capture::set_condition(const Piece& piece)
{
    const NodeId condition = parse_piece(
        piece, [&](std::string_view text) { return expr::parse_condition(code_, names_, text); });
    condition_ =
        condition_ == NodeId::none ? condition : expr::make_and(code_, condition_, condition);
}

bool Capture::is_decided_by_kernel() const
{
    return condition_ == NodeId::none || side_of(code_, condition_) == expr::Side::kernel;
}

void Capture::let_user_space_decide()
{
    if (is_decided_by_kernel())
        return;
    const std::size_t shown = arguments_.size();
    user_condition_ = in_user_space(condition_);
    hidden_ = arguments_.size() - shown;
    lay_out(kHiddenTextBytes);
}

void Capture::add(const Piece& piece, const Conversion& how, TypeId type, std::string_view name)
{
    if (arguments_.size() == kMostArguments)
        throw TextError(piece.at, piece.text.size(),
                        cat("more than ", kMostArguments, " arguments"));
    const expr::Shown shown = parse_piece(
        piece, [&](std::string_view text) { return expr::parse_value(code_, names_, text); });
    Captured argument{.name = name_of_argument(name.empty() ? piece.text : name, arguments_),
                      .how = how,
                      .node = shown.node,
                      .show = shown.show,
                      .named_by = shown.named_by};
    if (type != TypeId::none && argument.show != Show::text)
        argument.node = expr::convert(code_, argument.node, type);
    argument.type = code_[argument.node].type;
    if (how.letter == 0)
        argument.how = usual_conversion(argument);
    if (argument.how.letter == 's')
        shown_as_text(argument, piece);
    else
        shown_as_number(argument, piece);
    arguments_.push_back(std::move(argument));
}

// Where the user wrote no conversion.
Conversion Capture::usual_conversion(const Captured& argument) const
{
    const Type& type = code_.types()[argument.type];
    if (argument.show != Show::number || argument.named_by != TypeId::none)
        return {.letter = 's'};
    return {.letter = type.is_signed || type.kind == Type::Kind::boolean ? 'd' : 'u', .bytes = 8};
}

// %s: a text, a structure, a name.
void Capture::shown_as_text(Captured& argument, const Piece& piece)
{
    using Form = Captured::Form;
    switch (argument.show) {
    case Show::structure:
    case Show::bytes:
    case Show::mac:
        argument.form = Form::bytes;
        argument.type = code_.type(argument.node).target;
        return;
    case Show::ip:
        if (code_.type(argument.node).kind == Type::Kind::pointer) {
            argument.form = Form::bytes;
            argument.type = code_.type(argument.node).target;
        }
        return;
    case Show::text:
        argument.form = Form::text;
        return;
    case Show::flags:
    case Show::error:
    case Show::kernel_symbol:
    case Show::user_symbol:
        return;
    case Show::number:
        break;
    }
    if (argument.named_by != TypeId::none)
        return;
    const Type type = code_.type(argument.node);
    if (type.kind == Type::Kind::pointer &&
        code_.types()[type.target].kind == Type::Kind::structure) {
        if (code_.types()[type.target].size == 0)
            throw TextError(piece.at, piece.text.size(),
                            cat("of ", code_.types()[type.target].name, " only the name is known"));
        argument.form = Form::bytes;
        argument.show = Show::structure;
        argument.type = type.target;
        return;
    }
    const NodeId text = expr::text_of(code_, argument.node);
    if (text == NodeId::none)
        throw TextError(piece.at, piece.text.size(),
                        cat("%s needs a text or a structure, and this is ",
                            type.name.empty() ? "a number" : cat("of type ", type.name)),
                        "use %d, %u or %x");
    argument.form = Form::text;
    argument.show = Show::text;
    argument.node = text;
}

void Capture::shown_as_number(Captured& argument, const Piece& piece)
{
    const auto refuse = [&](std::string_view what) {
        throw TextError(piece.at, piece.text.size(),
                        cat("%", argument.how.letter, " needs a number, and this is ", what),
                        "use %s");
    };
    if (argument.how.letter == 'K')
        argument.show = Show::kernel_symbol;
    if (argument.how.letter == 'U')
        argument.show = Show::user_symbol;
    const expr::Node node = code_[argument.node];
    if (argument.show == Show::text) {
        if (node.op != Op::text || node.size != 0)
            refuse("a text");
        // A pointer to characters: itself.
        const NodeId at = node.value == 0 ? node.a
                                          : code_.add({.op = Op::address,
                                                       .type = code_[node.a].type,
                                                       .a = node.a,
                                                       .value = node.value});
        argument.node =
            code_.add({.op = Op::convert, .type = code_.types().integer(8, false), .a = at});
        argument.type = code_[argument.node].type;
    } else if (argument.show == Show::structure) {
        refuse("a structure");
    } else if (argument.show == Show::bytes || argument.show == Show::mac) {
        refuse("an array");
    } else if (argument.show == Show::ip && code_.type(argument.node).kind == Type::Kind::pointer) {
        refuse("an address");
    }
    const bool is_symbol =
        argument.show == Show::kernel_symbol || argument.show == Show::user_symbol;
    if (!is_symbol)
        argument.show = Show::number;
    argument.named_by = TypeId::none;
}

bool Capture::needs_symbols(Show kind) const
{
    return std::ranges::any_of(arguments_, [&](const Captured& a) { return a.show == kind; });
}

bool Capture::uses(expr::Helper helper) const
{
    for (std::size_t i = 1; i < code_.size(); i++)
        if (const expr::Node& n = code_[NodeId(i)]; n.op == Op::helper && n.helper == helper)
            return true;
    return false;
}

// An operand of a test becomes a column: what the record has of it.
NodeId Capture::hide(NodeId operand)
{
    if (operand == NodeId::none || code_[operand].op == Op::constant)
        return operand;
    const bool is_text = expr::text_of(code_, operand) == operand;
    arguments_.push_back({.form = is_text ? Captured::Form::text : Captured::Form::number,
                          .node = operand,
                          .type = code_[operand].type});
    return code_.add({.op = Op::column,
                      .type = code_[operand].type,
                      .value = std::int64_t(arguments_.size() - 1)});
}

NodeId Capture::in_user_space(NodeId id)
{
    expr::Node n = code_[id];
    const bool joins = n.op == Op::logical_and || n.op == Op::logical_or || n.op == Op::logical_not;
    n.a = joins ? in_user_space(n.a) : hide(n.a);
    if (n.b != NodeId::none)
        n.b = joins ? in_user_space(n.b) : hide(n.b);
    return code_.add(n);
}

bool Capture::decide(std::span<const std::byte> record) const
{
    std::vector<CapturedValue> values;
    for (std::size_t i = 0; i < arguments_.size(); i++)
        values.push_back(read_captured(arguments_[i], i, head_, record));
    const expr::World world{.column = [&](std::int64_t number) -> Value {
                                const CapturedValue& v = values[std::size_t(number)];
                                if (v.missing)
                                    return Absent{};
                                if (arguments_[std::size_t(number)].form == Captured::Form::text)
                                    return v.text();
                                return std::int64_t(v.number);
                            },
                            .regexes = &regexes_};
    return user_condition_ != NodeId::none &&
           expr::test(code_, user_condition_, world) == expr::Truth::yes;
}

// Numbers, bytes, then texts, of which the last is not sent beyond its end.
void Capture::lay_out(std::uint32_t text_bytes, bool is_key)
{
    std::uint32_t at = bytes_;
    const std::size_t first = order_.size();
    for (const auto form : {Captured::Form::number, Captured::Form::bytes, Captured::Form::text})
        for (std::size_t i = first; i < arguments_.size(); i++) {
            Captured& a = arguments_[i];
            if (a.form != form)
                continue;
            order_.push_back(i);
            a.is_key = is_key;
            a.offset = at;
            a.room = 8;
            if (form == Captured::Form::bytes)
                a.room = std::clamp(code_.types()[a.type].size, 1u,
                                    a.show == Show::structure ? structure_bytes_ : kMostBytes);
            if (form == Captured::Form::text) {
                // What str(e, n) asks for, and an array, is read whole.
                const std::uint32_t size = code_[a.node].size;
                a.room = kLength + (size ? size + 1 : text_bytes);
            }
            at = aligned(at + a.room, form == Captured::Form::text && !is_key ? 4 : 8);
        }
    bytes_ = aligned(at, 8);
    if (bytes_ > kMostBytes)
        throw TextError(0, 1, cat("the arguments have ", bytes_, " bytes, more than ", kMostBytes));
}

// The first so many of the record's arguments, and the return.
void Capture::emit(expr::Generator& generator, expr::Assembler& out, std::size_t arguments) const
{
    const std::size_t last = arguments ? order_[arguments - 1] : 0;
    const bool last_is_text =
        arguments && arguments_[last].form == Captured::Form::text && !arguments_[last].is_key;
    std::uint32_t whole = head_.size;
    for (const std::size_t i : std::span(order_).first(arguments)) {
        const Captured& a = arguments_[i];
        const Label missing = out.new_label(), next = out.new_label();
        const auto at = std::int32_t(a.offset);
        whole = a.offset + a.room;
        if (a.is_key)
            for (std::uint32_t zero = 0; zero < aligned(a.room, 8); zero += 8)
                out.store_imm(8, kRecord, at + std::int32_t(zero), 0);
        switch (a.form) {
        case Captured::Form::number:
            generator.value(a.node, missing);
            out.store(8, kRecord, at, kR0);
            break;
        case Captured::Form::bytes:
            generator.copy_bytes(a.node, at, a.room, missing);
            break;
        case Captured::Form::text:
            generator.copy_text(a.node, at + std::int32_t(kLength), a.room - kLength, missing);
            out.store(4, kRecord, at, kR0);
            break;
        }
        if (i == last && last_is_text && !a.is_key) {
            out.alu_imm(BPF_ADD, kR0, std::int32_t(a.offset + kLength));
            out.exit();
        } else {
            out.jump(next);
        }
        out.bind(missing);
        out.load(8, kR1, kRecord, std::int32_t(head_.missing));
        out.move(kR2, std::int64_t(1) << i);
        out.alu(BPF_OR, kR1, kR2);
        out.store(8, kRecord, std::int32_t(head_.missing), kR1);
        out.bind(next);
    }
    out.move(kR0, std::int64_t(last_is_text ? arguments_[last].offset + kLength : whole));
    out.exit();
}

Capture::Body Capture::generate(const expr::Machine& machine) const
{
    expr::Assembler out;
    expr::Generator generator(code_, machine, out);
    const Label yes = out.new_label(), no = out.new_label(), undecided = out.new_label();
    out.move(kContext, kR1);
    out.move(kRecord, kR2);
    if (condition_ != NodeId::none)
        generator.condition(condition_, yes, no, undecided);
    else
        out.jump(yes);
    out.bind(undecided);
    out.store_imm(1, kRecord, std::int32_t(head_.undecided), 1);
    emit(generator, out, arguments_.size());
    out.bind(yes);
    emit(generator, out, arguments_.size() - hidden_);
    out.bind(no);
    out.move(kR0, std::int64_t(0));
    out.exit();
    const auto tables = generator.tables();
    return {out.finish(), {tables.begin(), tables.end()}, generator.uses_scratch()};
}

CapturedValue read_captured(const Captured& a, std::size_t number, const RecordHead& head,
                            std::span<const std::byte> record)
{
    std::uint64_t missing = 0;
    if (record.size() < head.size)
        return {};
    std::memcpy(&missing, record.data() + head.missing, sizeof missing);
    if (missing >> number & 1 || record.size() < a.offset)
        return {};
    const auto bytes = record.subspan(a.offset);
    CapturedValue value;
    switch (a.form) {
    case Captured::Form::number:
        if (bytes.size() < sizeof value.number)
            return {};
        std::memcpy(&value.number, bytes.data(), sizeof value.number);
        break;
    case Captured::Form::bytes:
        if (bytes.size() < a.room)
            return {};
        value.bytes = bytes.first(a.room);
        break;
    case Captured::Form::text: {
        std::uint32_t length = 0; // with its NUL
        if (bytes.size() < sizeof length)
            return {};
        std::memcpy(&length, bytes.data(), sizeof length);
        const std::size_t most = std::min<std::size_t>(a.room, bytes.size()) - sizeof length;
        // An array may have anything behind its NUL.
        value.bytes = bytes.subspan(sizeof length, std::min<std::size_t>(length, most));
        const auto end = std::ranges::find(value.bytes, std::byte(0));
        value.bytes = value.bytes.first(std::size_t(end - value.bytes.begin()));
        break;
    }
    }
    value.missing = false;
    return value;
}

} // namespace corebox
