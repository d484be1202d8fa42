// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Precedence climbing, with C's precedences. `~`, `=~` and `in` rank with `==`.
#include "base/text.hpp"
#include "expr/parse.hpp"
#include "expr/syntax.hpp"
#include "expr/type_name.hpp"

namespace corebox::expr
{

namespace
{

int precedence(const Token& t)
{
    switch (t.sign) {
    case Sign::logical_or:
        return 1;
    case Sign::logical_and:
        return 2;
    case Sign::pipe:
        return 3;
    case Sign::caret:
        return 4;
    case Sign::ampersand:
        return 5;
    case Sign::equal:
    case Sign::not_equal:
    case Sign::tilde:
    case Sign::matches:
        return 6;
    case Sign::name:
        return t.word == "in" ? 6 : 0;
    case Sign::less:
    case Sign::greater:
    case Sign::less_equal:
    case Sign::greater_equal:
        return 7;
    case Sign::shift_left:
    case Sign::shift_right:
        return 8;
    case Sign::plus:
    case Sign::minus:
        return 9;
    case Sign::star:
    case Sign::slash:
    case Sign::percent:
        return 10;
    default:
        return 0;
    }
}
constexpr int kAboveComparisons = 7;

class Parser
{
public:
    Parser(Syntax& syntax, Types& types, const std::function<bool(std::string_view)>& is_value)
        : syntax_(syntax), is_value_(is_value), types_(types), type_reader_(types, syntax.tokens)
    {
    }

    TreeId read_all()
    {
        const TreeId root = conditional();
        if (token().sign != Sign::end)
            refuse(token(), cat("unexpected '", token().word, "'"),
                   next_is(Sign::assign) ? "did you mean '=='?" : "");
        return root;
    }

private:
    const Token& token(std::size_t ahead = 0) const
    {
        return syntax_.tokens[std::min(at_ + ahead, syntax_.tokens.size() - 1)];
    }
    bool next_is(Sign sign) const { return token().sign == sign; }
    bool take(Sign sign)
    {
        if (!next_is(sign))
            return false;
        at_++;
        return true;
    }
    void expect(Sign sign, std::string_view what)
    {
        if (!take(sign))
            refuse(token(), next_is(Sign::end)
                                ? cat("the expression ends where ", what, " is expected")
                                : cat("expected ", what));
    }
    [[noreturn]] static void refuse(const Token& t, const std::string& what, std::string hint = {})
    {
        throw TextError(t.at, std::max(t.length, 1u), what, std::move(hint));
    }
    TreeId add(Tree tree)
    {
        for (const TreeId part : tree.parts)
            tree.depth = std::max(tree.depth, syntax_[part].depth + 1);
        if (tree.depth > kDeepest)
            throw TextError(tree.at, std::max(tree.length, 1u), "too deep nesting");
        syntax_.trees.push_back(std::move(tree));
        return TreeId(syntax_.trees.size() - 1);
    }
    TreeId add(Form form, const Token& place, std::vector<TreeId> parts, std::string_view word = {})
    {
        return add({.form = form,
                    .sign = place.sign,
                    .at = place.at,
                    .length = place.length,
                    .word = word,
                    .token = &place,
                    .parts = std::move(parts)});
    }
    // A level of parentheses, brackets or unary operators; the parser recurses in these only.
    struct Level {
        explicit Level(Parser& p) : parser(p)
        {
            if (++parser.level_ > kDeepest)
                refuse(parser.token(), "too deep nesting");
        }
        ~Level() { parser.level_--; }
        Level(const Level&) = delete;
        Level& operator=(const Level&) = delete;
        Parser& parser;
    };

    TreeId conditional()
    {
        const Level level(*this);
        const TreeId test = binary(0);
        const Token& question = token();
        if (!take(Sign::question))
            return test;
        const TreeId yes = conditional();
        expect(Sign::colon, "':'");
        const TreeId no = conditional();
        return add(Form::conditional, question, {test, yes, no});
    }

    TreeId binary(int above)
    {
        TreeId left = unary();
        for (int p; (p = precedence(token())) > above;) {
            const Token& sign = token();
            at_++;
            if (sign.sign == Sign::name)
                left = among(left, sign);
            else if (sign.sign == Sign::logical_and || sign.sign == Sign::logical_or)
                left = chain(left, sign, p);
            else
                left = add(Form::binary, sign, {left, binary(p)});
        }
        return left;
    }

    // a && b && c ..., however long, as a balanced tree.
    TreeId chain(TreeId first, const Token& sign, int p)
    {
        std::vector<std::pair<TreeId, const Token*>> operands{{first, &sign}};
        const Token* next = &sign;
        do
            operands.emplace_back(binary(p), next);
        while (next = &token(), take(sign.sign));
        return balance(operands);
    }
    TreeId balance(std::span<const std::pair<TreeId, const Token*>> operands)
    {
        if (operands.size() == 1)
            return operands[0].first;
        const std::size_t half = (operands.size() + 1) / 2;
        const TreeId left = balance(operands.first(half));
        return add(Form::binary, *operands[half].second, {left, balance(operands.subspan(half))});
    }

    // What follows `in`.
    TreeId among(TreeId value, const Token& in)
    {
        std::vector<TreeId> parts{value};
        if (take(Sign::open_brace)) {
            do
                parts.push_back(interval());
            while (take(Sign::comma));
            expect(Sign::close_brace, "'}'");
        } else {
            const TreeId right = interval();
            if (syntax_[right].form != Form::interval && syntax_[right].form != Form::address)
                throw TextError(syntax_[right].at, std::max(syntax_[right].length, 1u),
                                "expected a set {a, b}, a range a..b or a network 10.0.0.0/8");
            parts.push_back(right);
        }
        return add(Form::among, in, std::move(parts));
    }
    TreeId interval()
    {
        const TreeId from = binary(kAboveComparisons);
        const Token& dots = token();
        return take(Sign::range) ? add(Form::interval, dots, {from, binary(kAboveComparisons)})
                                 : from;
    }

    TreeId unary()
    {
        const Level level(*this);
        const Token& sign = token();
        switch (sign.sign) {
        case Sign::exclamation:
        case Sign::minus:
        case Sign::plus:
        case Sign::tilde:
        case Sign::star:
        case Sign::ampersand:
            at_++;
            return add(Form::unary, sign, {unary()});
        case Sign::open_round:
            if (const auto type = type_in_parentheses()) {
                const TreeId operand = unary();
                return add({.form = Form::cast,
                            .at = sign.at,
                            .length = sign.length,
                            .type = *type,
                            .parts = {operand}});
            }
            break;
        case Sign::name:
            if (sign.word == "sizeof")
                return size_of();
            break;
        default:
            break;
        }
        return postfix(primary());
    }

    // "(type)"; else nothing is taken.
    std::optional<TypeId> type_in_parentheses()
    {
        if (token(1).sign != Sign::name)
            return std::nullopt;
        std::size_t at = at_ + 1;
        const std::string_view word = token(1).word;
        bool may_be_name = false;
        if (!TypeReader::begins_type(word)) {
            // (name) or (name *): only then.
            std::size_t end = at + 1;
            while (syntax_.tokens[end].sign == Sign::star ||
                   (syntax_.tokens[end].sign == Sign::name &&
                    TypeReader::begins_type(syntax_.tokens[end].word)))
                end++;
            may_be_name = syntax_.tokens[end].sign == Sign::close_round && !is_value_(word);
            if (!may_be_name)
                return std::nullopt;
        } else
            may_be_name = true;
        const auto type = type_reader_.read(at, may_be_name);
        if (!type)
            return std::nullopt;
        if (syntax_.tokens[at].sign != Sign::close_round)
            refuse(syntax_.tokens[at], "expected ')' after the type");
        at_ = at + 1;
        return type;
    }

    TreeId size_of()
    {
        const Token& word = token();
        at_++;
        if (next_is(Sign::open_round)) {
            const Token& place = token();
            if (const auto type = type_in_parentheses())
                return add(Form::size_of, word, {type_tree(place, *type)});
        }
        return add(Form::size_of, word, {unary()});
    }
    TreeId type_tree(const Token& place, TypeId type)
    {
        return add({.form = Form::type, .at = place.at, .length = place.length, .type = type});
    }

    TreeId type_argument()
    {
        const Token& place = token();
        if (next_is(Sign::name))
            if (const auto type = type_reader_.read(at_, true))
                return type_tree(place, *type);
        // A name alone is that of an enumeration or a structure as well.
        for (const std::string_view keyword : {"enum", "struct", "union"})
            if (next_is(Sign::name))
                if (const auto type = types_.find(keyword, place.word)) {
                    at_++;
                    return type_tree(place, *type);
                }
        refuse(place, next_is(Sign::end) ? "the expression ends where a type is expected"
                                         : cat("unknown type '", place.word, "'"));
    }
    TreeId member_argument()
    {
        const Token& name = token();
        expect(Sign::name, "a member's name");
        TreeId member = add(Form::name, name, {}, name.word);
        for (;;) {
            const Token& sign = token();
            if (take(Sign::dot)) {
                const Token& inner = token();
                expect(Sign::name, "a member's name");
                member = add(Form::member, inner, {member}, inner.word);
            } else if (take(Sign::open_square)) {
                const TreeId index = conditional();
                expect(Sign::close_square, "']'");
                member = add(Form::index, sign, {member, index});
            } else
                return member;
        }
    }

    TreeId primary()
    {
        const Token& t = token();
        switch (t.sign) {
        case Sign::number:
            at_++;
            return add(Form::number, t, {});
        case Sign::address:
            at_++;
            return add(Form::address, t, {});
        case Sign::text: {
            at_++;
            return add(Form::text, t, {});
        }
        case Sign::open_round: {
            at_++;
            const TreeId inner = conditional();
            expect(Sign::close_round, "')'");
            return inner;
        }
        case Sign::name:
            at_++;
            return next_is(Sign::open_round) ? call(t) : add(Form::name, t, {}, t.word);
        case Sign::end:
            refuse(t, syntax_.tokens.size() == 1 ? "the expression is empty"
                                                 : "the expression ends where a value is expected");
        default:
            refuse(t, cat("expected a value before '", t.word, "'"));
        }
    }

    TreeId call(const Token& name)
    {
        expect(Sign::open_round, "'('");
        std::vector<TreeId> parts;
        Form form = Form::call;
        if (name.word == "offsetof") {
            form = Form::offset_of;
            parts.push_back(type_argument());
            expect(Sign::comma, "','");
            parts.push_back(member_argument());
        } else if (name.word == "container_of") {
            form = Form::container_of;
            parts.push_back(conditional());
            expect(Sign::comma, "','");
            parts.push_back(type_argument());
            expect(Sign::comma, "','");
            parts.push_back(member_argument());
        } else if (name.word == "enum" || name.word == "flags") {
            parts.push_back(type_argument());
            expect(Sign::comma, "','");
            parts.push_back(conditional());
        } else if (!next_is(Sign::close_round)) {
            do
                parts.push_back(conditional());
            while (take(Sign::comma));
        }
        expect(Sign::close_round, "')'");
        return add(form, name, std::move(parts), name.word);
    }

    TreeId postfix(TreeId operand)
    {
        for (;;) {
            const Token& sign = token();
            if (take(Sign::arrow) || take(Sign::dot) || take(Sign::at)) {
                const Token& name = token();
                expect(Sign::name,
                       sign.sign == Sign::at ? "'user' or 'kernel'" : "a member's name");
                const Form form = sign.sign == Sign::arrow ? Form::arrow
                                  : sign.sign == Sign::dot ? Form::member
                                                           : Form::located;
                operand = add(form, name, {operand}, name.word);
            } else if (take(Sign::open_square)) {
                const TreeId index = conditional();
                expect(Sign::close_square, "']'");
                operand = add(Form::index, sign, {operand, index});
            } else
                return operand;
        }
    }

    Syntax& syntax_;
    const std::function<bool(std::string_view)>& is_value_;
    Types& types_;
    TypeReader type_reader_;
    std::size_t at_ = 0;
    std::uint32_t level_ = 0;
};

} // namespace

Syntax read_syntax(std::string_view text, Types& types,
                   const std::function<bool(std::string_view)>& is_value)
{
    Syntax syntax;
    syntax.tokens = read_tokens(text);
    syntax.root = Parser(syntax, types, is_value).read_all();
    return syntax;
}

} // namespace corebox::expr
