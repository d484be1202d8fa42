// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Internal to common/symbols: the files that processes have mapped. Each is held from the first
// time it is seen, so that it can still be read when its path leads elsewhere or nowhere.
#pragma once

#include "symbols/elf.hpp"
#include "symbols/process.hpp"

#include <compare>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <unordered_map>
#include <unordered_set>

namespace corebox
{

struct MappedFile {
    const std::string* path = nullptr; // as MappedFiles::intern() gave it
    RootPlace place;                   // where its debug file may be
    Fd handle;                         // none where it could not be held
    struct stat seen {
    };                    // when it was held
    bool is_read = false; // `binary` is final, be it null
    std::shared_ptr<Binary> binary;
};

// Holding a file costs a descriptor, and if it is deleted its place on the disk. Where there are
// too many of either, files are read at once instead of when a name is wanted: then it is memory
// that they cost. So are files of FUSE, whose server may end. A held file keeps its file system
// mounted: umount(2) says EBUSY.
class MappedFiles
{
public:
    using File = std::shared_ptr<MappedFile>;
    using Open = std::function<Fd(struct stat& info)>;

    // Raises the soft limit of open files as far as it is of use.
    MappedFiles();
    // With at most `limit` files held.
    explicit MappedFiles(std::size_t limit) : limit_(limit) {}

    // The same object for all processes that map the same file. `hold` gives a handle of it.
    File hold(std::uint64_t device, std::uint64_t inode, const std::string& path,
              const RootPlace& place, const Open& hold);

    // Its functions; null where it is no program, or cannot be read. `open` opens a file that is
    // not held. `may_have_changed`: a running process sees what is written into its file.
    std::shared_ptr<Binary> read(MappedFile& file, bool may_have_changed, const Open& open);

    // One copy of each string.
    const std::string& intern(std::string text) { return *strings_.insert(std::move(text)).first; }
    std::size_t held() const { return held_.size(); }

private:
    struct Key {
        std::uint64_t device, inode;
        const std::string* path;
        const Root* root;
        auto operator<=>(const Key&) const = default;
    };
    // Device and inode, and size and time of writing, for inodes are used again.
    using Identity = std::tuple<dev_t, ino_t, off_t, time_t, long>;
    static Identity identity(const struct stat& info)
    {
        return {info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
    }

    void make_room();
    void read_deleted();
    void read_and_close(MappedFile& file);
    std::shared_ptr<Binary> parse(Fd fd, const struct stat& info, const MappedFile& file);

    std::size_t limit_;
    std::unordered_set<std::string> strings_; // nodes: the addresses of the strings stay
    std::map<Key, File> files_;
    std::deque<File> held_;         // the oldest first
    std::uint64_t fresh_bytes_ = 0; // of files that were held since read_deleted()
    std::map<Identity, std::shared_ptr<Binary>> by_identity_;
    std::unordered_map<std::string, std::shared_ptr<Binary>> by_build_id_;
};

} // namespace corebox
