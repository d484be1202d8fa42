// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The program: a tool by the name it is called by, by its first argument, or the only one linked.
#include "cli/completion.hpp"
#include "cli/doctor.hpp"
#include "cli/man.hpp"
#include "cli/run_tool.hpp"
#include "session/session.hpp"
#include "tool/tool.hpp"
#include "version.hpp"
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace corebox
{
namespace
{

int finish(int status)
{
    const bool written = std::fflush(stdout) == 0 && !std::ferror(stdout);
    return written || errno == EPIPE ? status : int(Exit::output);
}

int list_tools()
{
    std::vector<const Tool*> tools = all_tools();
    std::ranges::stable_sort(tools, {}, [](const Tool* tool) { return tool->about.area; });
    std::string_view area;
    for (const Tool* tool : tools) {
        const About& about = tool->about;
        if (about.area != area)
            std::printf("%s%.*s\n", area.empty() ? "" : "\n", int(about.area.size()),
                        about.area.data());
        area = about.area;
        const auto line = [](std::string_view name, std::string_view text) {
            std::printf("  %-15.*s %.*s\n", int(name.size()), name.data(), int(text.size()),
                        text.data());
        };
        line(about.name, about.summary);
        for (const Alias& alias : about.aliases)
            line(alias.name, cat("Same as: ", alias_command(*tool, alias)));
    }
    return finish(0);
}

int usage(FILE* out, Exit status)
{
    std::fputs("Usage: corebox TOOL [OPTION...]     run a tool (TOOL --help lists its options)\n"
               "       corebox help TOOL            print the man page of a tool\n"
               "       corebox list                 list the tools by area\n"
               "       corebox doctor               check which tools run on this machine\n"
               "       corebox --install DIRECTORY  make a link for each tool\n"
               "       corebox --version            print the version\n"
               "A link to corebox with the name of a tool runs that tool.\n",
               out);
    return finish(int(status));
}

// Every name that a link may have, with the tool's own, a line each; `make` asks.
int print_names()
{
    for (const Tool* tool : all_tools()) {
        const auto line = [&](std::string_view name) {
            std::fputs(cat(name, " ", tool->about.name, "\n").c_str(), stdout);
        };
        line(tool->about.name);
        for (const Alias& alias : tool->about.aliases)
            line(alias.name);
    }
    return finish(0);
}

int refuse(std::string_view text, Exit status)
{
    std::fputs(cat("corebox: ", text, "\n").c_str(), stderr);
    return int(status);
}

int refuse_name(std::string_view name)
{
    return refuse(cat("unknown tool '", name, "'; run: corebox list"), Exit::usage);
}

// Makes the link, or replaces a link. Returns the errno; EEXIST: something else has this name.
int make_link(const char* target, const std::string& link)
{
    struct stat st {
    };
    if (::lstat(link.c_str(), &st) == 0 && !S_ISLNK(st.st_mode))
        return EEXIST;
    const std::string fresh = cat(link, ".corebox"); // nobody finds the name missing
    ::unlink(fresh.c_str());
    if (::symlink(target, fresh.c_str()) != 0)
        return errno;
    if (::rename(fresh.c_str(), link.c_str()) == 0)
        return 0;
    const int error = errno;
    ::unlink(fresh.c_str());
    return error;
}

// Links DIRECTORY/TOOL to this very file, for each tool where that can be done.
int install(const char* directory)
{
    char self[4096];
    const ssize_t n = ::readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0)
        return refuse(cat("cannot read /proc/self/exe: ", std::strerror(errno)), Exit::cannot_run);
    self[n] = '\0';
    struct stat st {
    };
    const int unusable = ::stat(directory, &st) != 0 ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
    if (unusable)
        return refuse(cat("cannot make links in ", directory, ": ", std::strerror(unusable),
                          unusable == ENOENT ? cat("; run: mkdir -p ", directory) : ""),
                      Exit::cannot_run);
    int status = int(Exit::complete);
    for (const Tool* tool : all_tools()) {
        std::vector<std::string_view> names{tool->about.name};
        for (const Alias& alias : tool->about.aliases)
            names.push_back(alias.name);
        for (const std::string_view name : names) {
            const std::string link = cat(directory, "/", name);
            if (const int error = make_link(self, link))
                status = refuse(cat("cannot make the link ", link, ": ", std::strerror(error),
                                    error == EEXIST ? cat("; run: rm ", link) : ""),
                                Exit::cannot_run);
        }
    }
    return status;
}

// corebox man TOOL [TOOL.md], corebox man, corebox completion: what `make install` installs.
int print_man(const char* name, const char* file)
{
    const Tool* tool = name ? find_tool(name).tool : nullptr;
    const auto text = file ? read_file(file) : std::string();
    if (name && !tool)
        return refuse_name(name);
    if (!text)
        return refuse(cat("cannot read ", file, ": ", std::strerror(errno)), Exit::usage);
    std::fputs((tool ? man_page(*tool, *text) : man_page(all_tools())).c_str(), stdout);
    return finish(0);
}

int print_help(const char* name)
{
    const Called called = find_tool(name);
    if (!called.tool)
        return refuse_name(name);
    std::fputs(plain_page(*called.tool).c_str(), stdout);
    return finish(0);
}

int print_completion(std::string_view shell)
{
    const auto tools = all_tools();
    if (shell != "bash" && shell != "zsh" && shell != "fish")
        return refuse(cat("no completion for '", shell, "'; supported are bash, zsh and fish"),
                      Exit::usage);
    const std::string script = shell == "bash"  ? bash_completion(tools)
                               : shell == "zsh" ? zsh_completion(tools)
                                                : fish_completion(tools);
    std::fputs(script.c_str(), stdout);
    return finish(0);
}

int multi_call(int argc, char** argv)
{
    const std::string_view word = argc > 1 ? argv[1] : "";
    if (const Called called = find_tool(word); called.tool)
        return run_tool(called, {argv + 2, argv + argc});
    if (word == "both") // internal: the tests of runs side by side
        return run_side_by_side({argv + 2, argv + argc});
    if (word == "doctor")
        return run_doctor(argc - 1, argv + 1);
    if (word == "list" || word == "--list")
        return list_tools();
    if (word == "names")
        return print_names();
    if (word == "--install")
        return argc == 3 ? install(argv[2])
                         : refuse("missing DIRECTORY for --install", Exit::usage);
    if (word == "man")
        return print_man(argc > 2 ? argv[2] : nullptr, argc > 3 ? argv[3] : nullptr);
    if (word == "completion")
        return print_completion(argc > 2 ? argv[2] : "bash");
    if (word == "help" && argc > 2)
        return print_help(argv[2]);
    if (word == "--help" || word == "help" || word == "-h")
        return usage(stdout, Exit::complete);
    if (word == "--version" || word == "-V") {
        std::printf("corebox %.*s\n", int(kVersion.size()), kVersion.data());
        return finish(0);
    }
    return word.empty() ? usage(stderr, Exit::usage) : refuse_name(word);
}

// A standard stream that is closed would become what is opened first, a BPF map. In its place comes
// one that can be neither read nor written.
void fill_standard_streams()
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY); // the lowest: this
}

} // namespace
} // namespace corebox

int main(int argc, char** argv)
{
    using namespace corebox;
    if (argc == 0)
        return int(Exit::usage);
    fill_standard_streams();
    const char* slash = std::strrchr(argv[0], '/');
    const std::string_view name = slash ? slash + 1 : argv[0];
    if (const Called called = find_tool(name); called.tool)
        return run_tool(called, {argv + 1, argv + argc});
    // A single tool's binary is that tool under any other name too.
    if (const auto tools = all_tools(); tools.size() == 1 && name != "corebox")
        return run_tool({tools[0]}, {argv + 1, argv + argc});
    return multi_call(argc, argv);
}
