// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "symbols/mapped_files.hpp"

#include <algorithm>
#include <exception>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/vfs.h>

namespace corebox
{
namespace
{

constexpr std::size_t kMaxHeld = 4096;
constexpr std::size_t kShare = 4; // of the descriptors: others are needed for maps, links, targets
constexpr std::uint64_t kMaxDeleted = 256u << 20; // bytes, about

std::size_t raise_descriptor_limit()
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    const rlim_t wanted = std::min<rlim_t>(limit.rlim_max, kMaxHeld * kShare);
    if (limit.rlim_cur < wanted) {
        const rlimit raised{wanted, limit.rlim_max};
        if (::setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    return std::min<std::size_t>(kMaxHeld, limit.rlim_cur / kShare);
}

// The server may end with the program (AppImage), and unmounts what nobody holds. It is asked for
// the statistics, and need not know any.
bool is_on_fuse(const Fd& handle)
{
    struct statfs info;
    return ::fstatfs(handle.get(), &info) != 0 || info.f_type == FUSE_SUPER_MAGIC;
}

} // namespace

MappedFiles::MappedFiles() : limit_(raise_descriptor_limit()) {}

MappedFiles::File MappedFiles::hold(std::uint64_t device, std::uint64_t inode,
                                    const std::string& path, const RootPlace& place,
                                    const Open& hold)
{
    File& file = files_[{device, inode, &path, place.root.get()}];
    struct stat now {
    };
    // Written to in place, or a new file under the number of one that is gone?
    if (file && file->handle && ::fstat(file->handle.get(), &now) == 0 &&
        identity(now) == identity(file->seen))
        return file;
    if (held_.size() >= limit_)
        make_room();
    Fd handle = hold(now);
    if (!file || !handle || identity(now) != identity(file->seen)) {
        file = std::make_shared<MappedFile>();
        file->path = &path;
        file->place = place;
        file->seen = now;
    }
    if (!handle)
        return file;
    file->handle = std::move(handle);
    held_.push_back(file);
    fresh_bytes_ += std::uint64_t(now.st_size);
    const File result = file;
    if (is_on_fuse(result->handle)) {
        read_and_close(*result);
        held_.pop_back();
    }
    if (fresh_bytes_ > kMaxDeleted)
        read_deleted();
    return result;
}

std::shared_ptr<Binary> MappedFiles::read(MappedFile& file, bool may_have_changed, const Open& open)
{
    if (file.is_read)
        return file.binary;
    file.is_read = true;
    struct stat info {
    };
    Fd fd;
    if (file.handle) {
        fd = open_held(file.handle);
        if (!fd || ::fstat(fd.get(), &info) != 0 ||
            (!may_have_changed && identity(info) != identity(file.seen)))
            return nullptr;
    } else {
        fd = open(info);
    }
    if (fd)
        try {
            file.binary = parse(std::move(fd), info, file);
        } catch (const std::exception&) {
            // Out of memory over a file's own idea of its size: it stays without symbols.
        }
    return file.binary;
}

void MappedFiles::read_and_close(MappedFile& file)
{
    read(file, false, [](struct stat&) { return Fd(); });
    file.handle = Fd();
}

void MappedFiles::make_room()
{
    std::erase_if(held_, [](const File& file) {
        if (file->is_read)
            file->handle = Fd();
        return file->is_read;
    });
    for (; held_.size() > limit_ / 2; held_.pop_front())
        read_and_close(*held_.front());
}

void MappedFiles::read_deleted()
{
    fresh_bytes_ = 0;
    std::erase_if(held_, [&](const File& file) {
        struct stat now {
        };
        if (::fstat(file->handle.get(), &now) != 0 || now.st_nlink != 0)
            return false;
        read_and_close(*file);
        return true;
    });
}

std::shared_ptr<Binary> MappedFiles::parse(Fd fd, const struct stat& info, const MappedFile& file)
{
    if (auto known = by_identity_.find(identity(info)); known != by_identity_.end())
        return known->second;
    std::shared_ptr<Binary>& binary = by_identity_[identity(info)];
    std::optional<ElfFile> elf = ElfFile::open(std::move(fd));
    if (!elf)
        return nullptr;

    // The size beside the build id: a stripped copy has the same id and fewer symbols.
    std::string id = elf->build_id();
    if (!id.empty())
        id += '/' + std::to_string(info.st_size);
    if (auto known = by_build_id_.find(id); !id.empty() && known != by_build_id_.end())
        return binary = known->second;
    const int root = file.place.directory();
    const auto open = [&](const std::string& path) {
        Fd debug = open_regular_in(root, path);
        // Containers seldom bring debug files; the host may have them. Build ids tell.
        return debug || root < 0 ? std::move(debug) : open_regular(path);
    };
    binary = std::make_shared<Binary>(*elf, *file.path, open);
    if (!id.empty())
        by_build_id_.emplace(std::move(id), binary);
    return binary;
}

} // namespace corebox
