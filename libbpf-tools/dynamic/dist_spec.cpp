// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "dist_spec.hpp"
#include "base/text.hpp"

namespace corebox
{
namespace
{
using expr::TextError;
using Use = DistSpec::Use;

struct Function {
    std::string_view name;
    Use use;
    std::size_t arguments;
};
constexpr Function kFunctions[] = {
    {"by", Use::by, 1},     {"sum", Use::sum, 1},  {"avg", Use::average, 1},
    {"min", Use::least, 1}, {"max", Use::most, 1}, {"lhist", Use::linear, 4},
};

std::int64_t number_of(const Piece& piece)
{
    const auto n = to_number<std::int64_t>(piece.text);
    if (!n)
        throw TextError(piece.at, piece.text.size(), "expected a number");
    return *n;
}

// "sum(e)": e, and what for.
DistSpec::Expression take_use(const Piece& piece)
{
    DistSpec::Expression out{.piece = piece};
    for (const Function& f : kFunctions) {
        const std::size_t open = f.name.size();
        if (!piece.text.starts_with(f.name) || !piece.text.substr(open).starts_with('(') ||
            !piece.text.ends_with(')'))
            continue;
        const auto arguments = split_list(
            {piece.text.substr(open + 1, piece.text.size() - open - 2), piece.at + open + 1});
        if (arguments.size() != f.arguments)
            throw TextError(piece.at, piece.text.size(),
                            cat(f.name, f.use == Use::linear ? "() takes a value, from, to and step"
                                                             : "() takes one value"));
        out.use = f.use;
        out.piece = arguments[0];
        if (f.use == Use::linear) {
            out.from = number_of(arguments[1]);
            out.to = number_of(arguments[2]);
            out.step = number_of(arguments[3]);
            constexpr std::int64_t kMostRows = 1000;
            if (out.step <= 0 || out.to <= out.from || (out.to - out.from) / out.step > kMostRows)
                throw TextError(piece.at, piece.text.size(),
                                cat("lhist() needs from < to and at most ", kMostRows, " steps"));
        }
        break;
    }
    return out;
}

} // namespace

void DistSpec::take_entries()
{
    constexpr std::string_view kEntry = "$entry(";
    original_ = text;
    for (std::size_t at = 0; (at = text.find(kEntry, at)) != text.npos;) {
        const std::size_t open = at + kEntry.size() - 1, end = end_of_parentheses(text, open);
        constexpr std::size_t kMostEntries = 8;
        if (entries.size() == kMostEntries)
            throw TextError(at, end - at, cat("more than ", kMostEntries, " of $entry()"));
        const Piece inside{std::string_view(original_).substr(open + 1, end - open - 2), open + 1};
        if (inside.text.find_first_not_of(' ') == std::string_view::npos)
            throw TextError(at, end - at, "$entry() takes one value");
        std::string name = cat("$entry", entries.size());
        name.resize(end - at, ' ');
        text.replace(at, end - at, name);
        entries.push_back(inside);
        at = end;
    }
    has_latency = text.find("$latency") != text.npos;
}

std::string_view DistSpec::written(const Piece& piece) const
{
    // Blanks behind a name stand for the rest of an $entry().
    std::size_t end = piece.at + piece.text.size();
    while (end < text.size() && text[end] == ' ')
        end++;
    std::string_view out = std::string_view(original_).substr(piece.at, end - piece.at);
    while (out.ends_with(' '))
        out.remove_suffix(1);
    return out;
}

DistSpec::DistSpec(std::string_view from) : text(from)
{
    unsigned marks = 0;
    text = take_marks(from, marks);
    take_entries();
    const auto labelled = split_list({text, 0}, '#');
    if (labelled.size() > 2)
        throw TextError(labelled[2].at ? labelled[2].at - 1 : 0, 1, "a second '#'");
    has_label = labelled.size() == 2;
    label = has_label ? labelled[1].text : std::string_view(original_);
    const std::string_view spec = labelled[0].text;
    const auto open = spec.find('(');
    if (open == spec.npos)
        throw TextError(0, spec.size(), "expected a signature in parentheses behind the function",
                        "for example: p::vfs_read()");
    const std::size_t end = end_of_parentheses(text, labelled[0].at + open);
    const Piece signature{
        std::string_view(text).substr(labelled[0].at + open + 1, end - labelled[0].at - open - 2),
        labelled[0].at + open + 1};
    const bool is_event = spec.starts_with("t:") || spec.starts_with("u:");
    // What is no function has an empty one.
    const bool is_empty = signature.text.find_first_not_of(' ') == std::string_view::npos;
    if (is_event && !is_empty)
        throw TextError(signature.at, signature.text.size(),
                        "a tracepoint or USDT probe has no signature", "write ()");
    probe = std::make_unique<ProbeSpec>(
        std::string_view(text).substr(0, is_event || is_empty ? labelled[0].at + open : end));
    probe->user_arguments = marks;
    if (end >= labelled[0].at + spec.size())
        return;
    const std::string_view rest = spec.substr(end - labelled[0].at);
    if (!rest.starts_with(':'))
        throw TextError(end, rest.size(), "expected ':' behind the signature");
    const auto fields = split_list({rest.substr(1), end + 1}, ':');
    if (fields.size() > 3)
        throw TextError(fields[3].at - 1, 1, "more than types, expressions and a filter");
    const bool has_types = fields.size() >= 2;
    if (fields.size() == 3)
        filter = fields[2];
    if (filter && filter->text.empty())
        throw TextError(filter->at ? filter->at - 1 : 0, 1, "an empty filter");
    for (const Piece& piece : split_list(fields[has_types ? 1 : 0])) {
        if (piece.text.empty())
            throw TextError(piece.at ? piece.at - 1 : 0, 1, "an empty expression");
        expressions.push_back(take_use(piece));
    }
    if (!has_types)
        return;
    const auto types = split_list(fields[0]);
    if (types.size() == 1 && types[0].text.empty())
        return;
    // Types of all, or of those that are no by(), sum() and the like.
    std::vector<Expression*> typed;
    for (Expression& e : expressions)
        if (types.size() == expressions.size() || e.use == Use::key)
            typed.push_back(&e);
    if (types.size() != typed.size())
        throw TextError(fields[0].at, fields[0].text.size(),
                        cat(types.size(), types.size() == 1 ? " type for " : " types for ",
                            typed.size(), typed.size() == 1 ? " expression" : " expressions"));
    for (std::size_t i = 0; i < types.size(); i++)
        typed[i]->type = types[i];
}

} // namespace corebox
