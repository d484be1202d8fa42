// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A man page as text, for machines without man: renders the few requests that man.cpp writes.
#include "base/unpack.hpp"
#include "cli/man.hpp"

extern "C" {
[[gnu::weak]] extern const corebox::PackedFile __start_corebox_texts[];
[[gnu::weak]] extern const corebox::PackedFile __stop_corebox_texts[];
}

namespace corebox
{
namespace
{

// TOOL.md as it was linked in; empty: only `corebox` itself carries the texts.
std::string text_of(std::string_view name)
{
    if (&__start_corebox_texts[0] == &__stop_corebox_texts[0])
        return {};
    const PackedFile& all = *__start_corebox_texts;
    std::unique_ptr<unsigned char[]> memory;
    std::size_t size = 0;
    const void* bytes = unpack(all.packed, all.packed_size, all.size, memory, &size);
    const std::string_view texts(static_cast<const char*>(bytes), size);
    const std::string mark = cat("\f", name, "\n"); // as the Makefile joins them
    const auto at = texts.find(mark);
    if (at == texts.npos)
        return {};
    const auto text = texts.substr(at + mark.size());
    return std::string(text.substr(0, text.find('\f')));
}

// A line without its escapes and fonts.
std::string plain(std::string_view s)
{
    constexpr std::pair<std::string_view, std::string_view> kEscapes[] = {
        {"\\fB", ""},   {"\\fI", ""},   {"\\fR", ""},   {"\\&", ""},
        {"\\-", "-"},   {"\\e", "\\"},  {"\\(aq", "'"}, {"\\(ga", "`"},
        {"\\(ha", "^"}, {"\\(ti", "~"}, {"\\(bu", "-"},
    };
    std::string out;
    while (!s.empty()) {
        bool known = false;
        for (const auto& [escape, text] : kEscapes)
            if (s.starts_with(escape)) {
                out += text;
                s.remove_prefix(escape.size());
                known = true;
                break;
            }
        if (known)
            continue;
        out += s[0];
        s.remove_prefix(1);
    }
    return out;
}

class Page
{
public:
    void line(std::string_view s)
    {
        const bool request = s.starts_with('.');
        if (verbatim_ && s != ".EE") {
            out_ += cat(std::string(indent_ + 4, ' '), plain(s), "\n");
            return;
        }
        if (!request) {
            text(plain(s));
            return;
        }
        const auto name = s.substr(0, 3), rest = s.substr(std::min<std::size_t>(s.size(), 4));
        if (name == ".SH" || name == ".SS") {
            end_paragraph();
            indent_ = kIndent;
            out_ += cat(out_.empty() ? "" : "\n", name == ".SS" ? "   " : "", plain(rest), "\n");
        } else if (name == ".TP") {
            end_paragraph();
            indent_ = kIndent;
            tag_ = true;
        } else if (name == ".IP") {
            end_paragraph();
            indent_ = kIndent;
            words_.push_back('-');
            hanging_ = true;
        } else if (name == ".PP" || name == ".br") {
            end_paragraph();
            if (name == ".PP") {
                indent_ = kIndent;
                out_ += "\n";
            }
        } else if (name == ".EX" || name == ".EE") {
            end_paragraph();
            verbatim_ = name == ".EX";
        } // .RS and .RE are around each .EX, .TH and comments say nothing
    }

    std::string end()
    {
        end_paragraph();
        return std::move(out_);
    }

private:
    static constexpr std::size_t kIndent = 7, kWidth = 78;

    void text(std::string_view s)
    {
        if (tag_) {
            tag_ = false;
            out_ += cat(std::string(indent_, ' '), s, "\n");
            indent_ = kIndent + 7;
            return;
        }
        words_ += cat(words_.empty() ? "" : " ", s);
    }

    void end_paragraph()
    {
        std::size_t at = 0;
        bool first = true;
        for (const std::string_view word : split(words_, ' ')) {
            if (word.empty())
                continue;
            if (first || at + 1 + word.size() > kWidth) {
                const std::size_t indent = indent_ + (hanging_ && !first ? 2 : 0);
                out_ += cat(first ? "" : "\n", std::string(indent, ' '));
                at = indent;
            } else {
                out_ += ' ';
                at++;
            }
            out_ += word;
            at += word.size();
            first = false;
        }
        out_ += first ? "" : "\n";
        words_.clear();
        hanging_ = false;
    }

    std::string out_, words_;
    std::size_t indent_ = kIndent;
    bool tag_ = false, hanging_ = false, verbatim_ = false;
};

} // namespace

std::string plain_page(const Tool& tool)
{
    const std::string roff = man_page(tool, text_of(tool.about.name));
    Page page;
    std::string_view rest = roff;
    while (!rest.empty()) { // empty lines count in verbatim text
        const auto end = rest.find('\n');
        page.line(rest.substr(0, end));
        rest = end == rest.npos ? std::string_view{} : rest.substr(end + 1);
    }
    return page.end();
}

} // namespace corebox
