// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Man pages, made from the declarations of all tools and from hand-written text.
#include "base/text.hpp"
#include "cli/command_line.hpp"
#include "cli/man.hpp"
#include "session/session.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace corebox
{
namespace
{

using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kMarkdown = "## DESCRIPTION\n"
                                       "\n"
                                       "Shows `open(2)` and *what* **else**.\n"
                                       ".hidden is no request.\n"
                                       "\n"
                                       "- one\n"
                                       "  goes on\n"
                                       "- two\n"
                                       "\n"
                                       "### Three\n"
                                       "\n"
                                       "four\n"
                                       "\n"
                                       "## EXAMPLES\n"
                                       "\n"
                                       "<!-- load: busy -->\n"
                                       "\n"
                                       "    # tool -x 'a\\n'\n"
                                       "\n"
                                       "    .second\n"
                                       "\n"
                                       "<!-- show: last 1 -->\n"
                                       "\n"
                                       "    # tool -y\n"
                                       "\n"
                                       "## SEE ALSO\n"
                                       "\n"
                                       "`bpf`(2)\n";

TEST(ManPage, MarkdownBecomesRoff)
{
    const std::string page = man_page(*all_tools().front(), kMarkdown);
    EXPECT_THAT(page, HasSubstr(".SH DESCRIPTION\n"
                                "Shows \\fBopen(2)\\fR and \\fIwhat\\fR \\fBelse\\fR.\n"
                                "\\&.hidden is no request.\n"
                                ".IP \\(bu 2\none\ngoes on\n"
                                ".IP \\(bu 2\ntwo\n"
                                ".SS Three\nfour\n"
                                ".SH OPTIONS\n"));
    EXPECT_THAT(page, Not(HasSubstr("busy")));
    EXPECT_THAT(page, HasSubstr(".PP\n.RS 4\n.EX\n"
                                "# tool \\-x \\(aqa\\en\\(aq\n"
                                "\n"
                                "\\&.second\n"
                                ".EE\n.RE\n"
                                ".PP\n.RS 4\n.EX\n"
                                "# tool \\-y\n"
                                ".EE\n.RE\n"));
    EXPECT_THAT(page, HasSubstr(".SH SEE ALSO\n\\fBbpf\\fR(2)\n"));
}

TEST(ManPage, EveryToolHasAllOfIt)
{
    for (const Tool* tool : all_tools()) {
        const std::string page = man_page(*tool, "");
        std::size_t at = 0;
        for (const char* section : {"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COLUMNS",
                                    "EXAMPLES", "KERNEL SUPPORT", "EXIT STATUS", "SEE ALSO"}) {
            if (tool->needs.empty() && std::string_view(section) == "KERNEL SUPPORT")
                continue; // it only reads
            if (tool->columns.empty() && std::string_view(section) == "COLUMNS")
                continue; // it has one histogram, and that no key
            const auto found = page.find(cat(".SH ", section, "\n"), at);
            EXPECT_NE(found, page.npos) << tool->about.name << ": " << section;
            at = found;
        }
        for (const ListedOption& l : listed_options(*tool)) {
            std::string name;
            for (const char c : l.option->name)
                name += c == '-' ? std::string("\\-") : std::string(1, c);
            EXPECT_THAT(page, HasSubstr(cat("\\fB\\-\\-", name, "\\fR"))) << tool->about.name;
        }
        for (const Column& c : tool->columns)
            EXPECT_THAT(page, HasSubstr(cat("(", c.key, ")\n"))) << tool->about.name;
    }
}

TEST(ManPage, AsPlainText)
{
    for (const Tool* tool : all_tools()) {
        const std::string page = plain_page(*tool);
        EXPECT_TRUE(page.starts_with(cat("NAME\n       ", tool->about.name))) << page;
        for (const char* mark : {"\\f", "\\-", "\\&", "\\(", "\n."})
            EXPECT_EQ(page.find(mark), page.npos) << tool->about.name << ": " << mark;
        EXPECT_THAT(page, HasSubstr("\nEXIT STATUS\n       0\n              The tool ran, "));
        for (const std::string_view line : split(page, '\n'))
            if (!line.starts_with("           ")) { // examples are as wide as they are
                EXPECT_LE(line.size(), 110u) << line;
            }
        for (const ListedOption& l : listed_options(*tool))
            EXPECT_THAT(page, HasSubstr(cat("--", l.option->name)));
    }
}

TEST(ManPage, TheOverviewNamesEveryTool)
{
    const std::string page = man_page(all_tools());
    for (const Tool* tool : all_tools())
        EXPECT_THAT(page, HasSubstr(cat("\\fB", tool->about.name, "\\fR(8)\n")));
}

} // namespace
} // namespace corebox
