// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Declarations of a header, with the layout that compilers give them.
#include "base/text.hpp"
#include "expr/declarations.hpp"
#include "expr/parse.hpp"
#include "expr/type_name.hpp"
#include <algorithm>
#include <map>
#include <memory>

namespace corebox::expr
{

namespace
{

constexpr unsigned kNested = 16; // structures in structures

// What the source has, for as long as the types.
struct Declared {
    std::map<std::string, TypeId, std::less<>> types{}; // "struct a", "b"
    std::map<std::string, std::int64_t, std::less<>> constants{};
};

// Without comments and directives, which become blanks, so that places stay. Macros that are
// numbers become constants.
std::string strip(std::string_view header, Declared& declared)
{
    std::string text(header);
    const auto blank = [&text](std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < std::min(to, text.size()); i++)
            if (text[i] != '\n')
                text[i] = ' ';
    };
    for (std::size_t i = 0; i < text.size(); i++) {
        if (text[i] == '"' || text[i] == '\'') {
            const char quote = text[i];
            for (i++; i < text.size() && text[i] != quote && text[i] != '\n'; i++)
                i += text[i] == '\\';
        } else if (text.compare(i, 2, "/*") == 0)
            blank(i, std::min(text.find("*/", i + 2), text.size() - 2) + 2);
        else if (text.compare(i, 2, "//") == 0)
            blank(i, text.find('\n', i));
    }
    for (std::size_t line = 0; line < text.size();) {
        std::size_t end = std::min(text.find('\n', line), text.size());
        const auto first = text.find_first_not_of(" \t", line);
        if (first < end && text[first] == '#') {
            while (end < text.size() && text[end - 1] == '\\')
                end = std::min(text.find('\n', end + 1), text.size());
            const auto words = split(std::string_view(text).substr(first, end - first), ' ');
            std::vector<std::string_view> parts;
            for (const std::string_view word : words)
                if (!word.empty())
                    parts.push_back(word);
            if (parts.size() == 3 && parts[0] == "#define") {
                int base = parts[2].starts_with("0x") ? 16 : parts[2].starts_with("0") ? 8 : 10;
                std::string_view digits = parts[2].substr(base == 16 ? 2 : 0);
                digits = digits.substr(0, digits.find_last_not_of("uUlL") + 1);
                if (const auto value = to_number<std::int64_t>(digits, base))
                    declared.constants.insert_or_assign(std::string(parts[1]), *value);
            }
            blank(line, end);
        }
        line = end + 1;
    }
    return text;
}

class HeaderReader
{
public:
    HeaderReader(Types& types, Declared& declared, std::span<const Token> tokens)
        : types_(types), declared_(declared), tokens_(tokens), reader_(types, tokens, true)
    {
        // A structure may be pointed to before it is defined.
        for (std::size_t i = 0; i + 2 < tokens.size(); i++)
            if ((tokens[i].word == "struct" || tokens[i].word == "union") &&
                tokens[i + 1].sign == Sign::name && tokens[i + 2].sign == Sign::open_brace) {
                const std::string name = cat(tokens[i].word, " ", tokens[i + 1].word);
                declared_.types[name] = types_.add({.kind = Type::Kind::structure, .name = name});
            }
    }

    void read_all()
    {
        while (!is(Sign::end))
            read_declaration();
    }

private:
    struct Layout {
        std::uint64_t bits = 0; // so far
        std::uint32_t align = 1, size = 0;
        bool is_union = false, is_packed = false;
        std::vector<Member> members{};
    };

    const Token& token() const { return tokens_[at_]; }
    bool is(Sign sign) const { return token().sign == sign; }
    bool is_word(std::string_view word) const { return is(Sign::name) && token().word == word; }
    bool take(Sign sign)
    {
        if (!is(sign))
            return false;
        at_++;
        return true;
    }
    void expect(Sign sign, std::string_view what)
    {
        if (!take(sign))
            refuse(cat("expected ", what));
    }
    [[noreturn]] void refuse(const std::string& what) const
    {
        throw TextError(token().at, std::max(token().length, 1u), what);
    }

    // To behind the next ';' or the body of a function.
    void skip_declaration()
    {
        bool is_initialized = false;
        for (unsigned depth = 0; !is(Sign::end);) {
            const Sign sign = tokens_[at_++].sign;
            is_initialized |= sign == Sign::assign;
            depth += sign == Sign::open_brace;
            const bool is_closed = sign == Sign::close_brace && depth > 0 && --depth == 0;
            if ((is_closed && !is_initialized) || (sign == Sign::semicolon && depth == 0))
                return;
        }
    }
    // "__attribute__((packed))" behind a structure.
    void read_attributes(Layout& layout)
    {
        while (is_word("__attribute__") || is_word("__packed") || is_word("__aligned")) {
            layout.is_packed |= is_word("__packed");
            at_++;
            for (unsigned depth = 0; !is(Sign::end); at_++) {
                depth += is(Sign::open_round);
                depth -= is(Sign::close_round) && depth > 0;
                layout.is_packed |= is_word("packed") || is_word("__packed__");
                if (depth == 0) {
                    at_ += is(Sign::close_round);
                    break;
                }
            }
        }
    }

    void read_declaration()
    {
        if (take(Sign::semicolon))
            return;
        const bool is_typedef = is_word("typedef");
        at_ += is_typedef;
        const std::size_t from = at_;
        const auto type = read_type();
        if (!type && is_typedef)
            refuse(cat("unknown type '", token().word, "'"));
        if (!is_typedef) {
            if (type && take(Sign::semicolon))
                return;
            if (!type)
                at_ = from;
            skip_declaration();
            return;
        }
        do {
            const Parameter p = read_declarator(*type);
            declared_.types.insert_or_assign(p.name, p.type);
        } while (take(Sign::comma));
        expect(Sign::semicolon, "';' after the typedef");
    }

    // A type's name, or its definition. None: neither; something else is declared.
    std::optional<TypeId> read_type()
    {
        while (is_word("const") || is_word("volatile") || is_word("extern") || is_word("static"))
            at_++;
        const bool is_structure = is_word("struct") || is_word("union");
        if (is_structure || is_word("enum")) {
            std::size_t next = at_ + 1;
            next += tokens_[next].sign == Sign::name;
            if (tokens_[next].sign == Sign::open_brace)
                return is_structure ? read_structure() : read_enumeration();
        }
        return reader_.read(at_, true, false);
    }

    TypeId read_structure()
    {
        if (++depth_ > kNested)
            refuse("too deep nesting");
        Layout layout{.is_union = is_word("union")};
        const std::string_view keyword = tokens_[at_++].word;
        std::string name;
        if (is(Sign::name))
            name = cat(keyword, " ", tokens_[at_++].word);
        expect(Sign::open_brace, "'{'");
        // Whether it is packed stands behind it.
        const std::size_t body = at_;
        unsigned depth = 1;
        for (; depth > 0 && !is(Sign::end); at_++) {
            depth += is(Sign::open_brace);
            depth -= is(Sign::close_brace);
        }
        if (depth > 0)
            refuse(cat("the ", keyword, " has no closing '}'"));
        read_attributes(layout);
        const std::size_t end = at_;
        at_ = body;
        while (!take(Sign::close_brace))
            read_members(layout);
        at_ = end;
        depth_--;
        const TypeId id = name.empty() ? types_.add({.kind = Type::Kind::structure, .name = ""})
                                       : declared_.types[name];
        const std::uint64_t bytes = ((layout.is_union ? layout.size * 8ull : layout.bits) + 7) / 8;
        types_.complete(id, std::uint32_t((bytes + layout.align - 1) / layout.align * layout.align),
                        std::move(layout.members));
        aligns_[id] = layout.align;
        return id;
    }

    void read_members(Layout& layout)
    {
        const auto type = read_type();
        if (!type)
            refuse(cat("unknown type '", token().word, "'"));
        if (take(Sign::semicolon)) { // an anonymous structure
            place(layout, {"", *type});
            return;
        }
        do {
            Parameter p{"", *type};
            if (!is(Sign::colon))
                p = read_declarator(*type);
            std::optional<std::uint32_t> bits;
            if (take(Sign::colon)) {
                const std::uint64_t width = token().number.value;
                if (!is(Sign::number) || width > types_[p.type].size * 8ull ||
                    !types_[p.type].is_number())
                    refuse("expected the bitfield's width");
                bits = std::uint32_t(width);
                at_++;
            }
            Layout ignored;
            read_attributes(ignored);
            if (bits)
                place_bits(layout, p, *bits);
            else
                place(layout, p);
        } while (take(Sign::comma));
        expect(Sign::semicolon, "';' after the member");
    }

    Parameter read_declarator(TypeId type)
    {
        while (take(Sign::star)) {
            type = types_.pointer_to(type, Space::unknown);
            while (is_word("const") || is_word("volatile") || is_word("restrict"))
                at_++;
        }
        if (is(Sign::open_round)) { // a function's pointer
            at_++;
            expect(Sign::star, "'*'");
            const Parameter p{is(Sign::name) ? std::string(token().word) : std::string(),
                              types_.pointer_to(TypeId::none, Space::unknown)};
            for (unsigned depth = 1; depth > 0 || is(Sign::open_round); at_++) {
                if (is(Sign::end))
                    refuse("'(' without ')'");
                depth += is(Sign::open_round);
                depth -= is(Sign::close_round);
            }
            return p;
        }
        if (!is(Sign::name))
            refuse("expected a name");
        const std::string name(tokens_[at_++].word);
        return {name, is(Sign::open_square) ? reader_.read_array(at_, type) : type};
    }

    TypeId read_enumeration()
    {
        at_++;
        std::string name;
        if (is(Sign::name))
            name = cat("enum ", tokens_[at_++].word);
        expect(Sign::open_brace, "'{'");
        std::vector<Enumerator> all;
        std::int64_t next = 0;
        while (!is(Sign::close_brace)) {
            if (!is(Sign::name))
                refuse("expected an enumerator");
            Enumerator e{std::string(tokens_[at_++].word), next};
            if (take(Sign::assign))
                e.value = read_constant();
            next = e.value + 1;
            declared_.constants.insert_or_assign(e.name, e.value);
            all.push_back(std::move(e));
            if (!take(Sign::comma) && !is(Sign::close_brace))
                refuse("expected ',' or '}'");
        }
        at_++;
        const bool is_signed =
            std::ranges::any_of(all, [](const Enumerator& e) { return e.value < 0; });
        const TypeId id = types_.add(
            {.kind = Type::Kind::enumeration, .is_signed = is_signed, .size = 4, .name = name},
            nullptr, [all = std::move(all)](TypeId) { return all; });
        if (!name.empty())
            declared_.types[name] = id;
        return id;
    }

    // An enumerator's value: any expression of constants.
    std::int64_t read_constant()
    {
        const std::size_t from = token().at;
        for (unsigned depth = 0;
             !is(Sign::end) && (depth > 0 || (!is(Sign::comma) && !is(Sign::close_brace))); at_++) {
            depth += is(Sign::open_round);
            depth -= is(Sign::close_round) && depth > 0;
        }
        const std::string_view text(tokens_[0].word.data() - tokens_[0].at + from,
                                    token().at - from);
        Code code(types_);
        try {
            const NodeId node = parse_value(code, {}, text).node;
            if (code[node].op == Op::constant)
                return code[node].value;
        } catch (const TextError& error) {
            throw TextError(from + error.at, error.length, error.what(), error.hint);
        }
        throw TextError(from, std::max<std::size_t>(text.size(), 1), "expected a constant");
    }

    std::uint32_t align_of(TypeId id, unsigned depth = 0) const
    {
        const Type& type = types_[id];
        if (const auto known = aligns_.find(id); known != aligns_.end())
            return known->second;
        std::uint32_t align = 1;
        if (depth > kNested)
            return align;
        if (type.kind == Type::Kind::array)
            return align_of(type.target, depth + 1);
        if (type.kind != Type::Kind::structure)
            return std::clamp<std::uint32_t>(type.size, 1, 16);
        for (const Member& m : types_.members(id))
            align = std::max(align, align_of(m.type, depth + 1));
        return align;
    }

    void place(Layout& layout, const Parameter& p)
    {
        const Type& type = types_[p.type];
        const bool is_flexible = type.kind == Type::Kind::array && type.count == 0;
        if (type.size == 0 && !is_flexible)
            refuse(cat("the size of '", type.name, "' is unknown"));
        const std::uint32_t align = layout.is_packed ? 1 : align_of(p.type);
        const std::uint64_t bytes =
            layout.is_union ? 0 : ((layout.bits + 7) / 8 + align - 1) / align * align;
        if (bytes + type.size > (1u << 28))
            refuse("the structure is too large");
        layout.members.push_back({p.name, p.type, std::uint32_t(bytes * 8)});
        layout.bits = (bytes + type.size) * 8;
        layout.size = std::max(layout.size, type.size);
        layout.align = std::max(layout.align, align);
    }

    // As the System V ABI says: a bitfield does not cross the border of a word of its type; one of
    // no width ends the word.
    void place_bits(Layout& layout, const Parameter& p, std::uint32_t bits)
    {
        const std::uint64_t word = types_[p.type].size * 8;
        std::uint64_t at = layout.is_union ? 0 : layout.bits;
        if (bits == 0) {
            layout.bits = (at + word - 1) / word * word;
            return;
        }
        if (!layout.is_packed && at / word != (at + bits - 1) / word)
            at = (at + word - 1) / word * word;
        if (!p.name.empty())
            layout.members.push_back({p.name, p.type, std::uint32_t(at), bits});
        layout.bits = at + bits;
        layout.size = std::max(layout.size, std::uint32_t((bits + 7) / 8));
        if (!layout.is_packed && !p.name.empty())
            layout.align = std::max(layout.align, align_of(p.type));
    }

    Types& types_;
    Declared& declared_;
    std::span<const Token> tokens_;
    TypeReader reader_;
    std::map<TypeId, std::uint32_t> aligns_;
    std::size_t at_ = 0;
    unsigned depth_ = 0;
};

} // namespace

void add_declarations(Types& types, std::string_view header)
{
    const auto declared = std::make_shared<Declared>();
    const std::string text = strip(header, *declared);
    const auto tokens = read_tokens(text, kLongestHeader);
    types.add_first_source(
        {.find = [declared](std::string_view keyword,
                            std::string_view name) -> std::optional<TypeId> {
             const auto known = declared->types.find(keyword.empty() ? std::string(name)
                                                                     : cat(keyword, " ", name));
             return known == declared->types.end() ? std::nullopt : std::optional(known->second);
         },
         .constant = [declared](std::string_view name) -> std::optional<std::int64_t> {
             const auto known = declared->constants.find(name);
             return known == declared->constants.end() ? std::nullopt
                                                       : std::optional(known->second);
         },
         .names =
             [declared](std::string_view keyword) {
                 std::vector<std::string> names;
                 for (const auto& [name, type] : declared->types)
                     if (const auto blank = name.find(' ');
                         keyword.empty() ? blank == name.npos : name.starts_with(keyword))
                         names.push_back(name.substr(keyword.empty() ? 0 : blank + 1));
                 return names;
             }});
    HeaderReader(types, *declared, tokens).read_all();
}

} // namespace corebox::expr
