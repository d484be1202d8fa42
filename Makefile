# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# corebox: one static multi-call binary and the same tools as single static binaries.
# A tool is a folder libbpf-tools/AREA/TOOL with TOOL.bpf.c, TOOL.h and TOOL.cpp; nothing lists it.
# One that only reads what the kernel tells anyway (tplist) has no TOOL.bpf.c.

# Another ARCH than this machine's is built with Debian's cross compiler, into a directory of its own:
# make ARCH=arm64.
HOST     := $(patsubst aarch64,arm64,$(shell uname -m))
ARCH     ?= $(HOST)
cross    := $(filter-out $(HOST),$(ARCH))
BUILD    ?= build$(cross:%=-%)
PREFIX   ?= /usr/local
V        ?= 0
HOST_CXX ?= g++
CXX      ?= g++
AR       ?= ar
CLANG    ?= clang
BPFTOOL  ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
STRIP    ?= strip
LLVM_STRIP ?= llvm-strip

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n'
endif

ifdef cross
triplet := $(patsubst arm64,aarch64,$(cross))-linux-gnu
CXX     := $(triplet)-g++
CC      := $(triplet)-gcc
AR      := $(triplet)-ar
STRIP   := $(triplet)-strip
# For what is asked of the built program itself: its names, its manual. QEMU's user emulation.
RUN     := qemu-$(patsubst arm64,aarch64,$(cross))
# Debian's static libraries for that architecture.
sysroot := $(or $(COREBOX_CACHE),$(HOME)/.cache/corebox)/sysroot-$(cross)
libraries := $(sysroot)/.complete
$(libraries):
	$(Q)scripts/sysroot >/dev/null
endif

BPF_ARCH_x86_64 := x86
BPF_ARCH_arm64  := arm64

# Small before fast, as most of the code is declarations and runs once (a fifth less to copy to a host
# and to page in there); what runs for each event, or goes through the kernel's types at each start, is
# compiled with -O2.
CXXFLAGS ?= -Os
hot      := $(if $(filter file,$(origin CXXFLAGS)),-O2)
override CXXFLAGS += -std=c++20 -g1 -fno-pie -ffunction-sections -fdata-sections \
            -Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Wcast-qual
# Where it is built is in no file: the build-id is a checksum of debugging information too.
override CXXFLAGS += -ffile-prefix-map=$(CURDIR)=. -ffile-prefix-map=$(BUILD)=build
override CPPFLAGS += -Icommon
override LDFLAGS  += -static -no-pie -Wl,--gc-sections -Wl,-z,noseparate-code
LDLIBS   := -lpcap -lbpf -ldw -lelf -lz -llzma -lbz2 -lzstd
ifdef cross
override CPPFLAGS += -isystem $(sysroot)/usr/include
override LDFLAGS  += -L$(sysroot)/usr/lib/$(triplet)
endif
BPFFLAGS := -O2 -g -mcpu=v3 -target bpf -D__TARGET_ARCH_$(BPF_ARCH_$(ARCH)) \
            -Ivmlinux/$(ARCH) -Icommon -Wall -Wextra -Werror -Wno-unused-parameter \
            -Wno-missing-declarations -Wno-compare-distinct-pointer-types

# ONLY='opensnoop biolatency' leaves the others out: a smaller corebox for a small device, and a quick
# build for who works on one tool.
ONLY        ?= *
tool_dirs   := $(patsubst %/,%,$(dir $(sort $(wildcard $(foreach t,$(ONLY),libbpf-tools/*/$t/*.cpp)))))
tools       := $(notdir $(tool_dirs))
bpf_tools   := $(foreach d,$(tool_dirs),$(if $(wildcard $d/*.bpf.c),$(notdir $d)))
tool_objs   := $(tools:%=$(BUILD)/tools/%.o)
kit_srcs    := $(filter-out common/main.cpp,$(wildcard common/*/*.cpp)) $(wildcard libbpf-tools/*/*.cpp)
kit_objs    := $(kit_srcs:%.cpp=$(BUILD)/kit/%.o)
main_obj    := $(BUILD)/kit/common/main.o
single      := $(tools:%=$(BUILD)/bin/%)

vpath %.bpf.c $(tool_dirs)
vpath %.cpp   $(tool_dirs)

.PHONY: all tools corebox
all: corebox tools
corebox: $(BUILD)/corebox
# Aliases (ext4slower is fsslower -t ext4) are links; the program knows their names.
tools: $(single) $(BUILD)/corebox
	$(Q)$(RUN) $(BUILD)/corebox names > $(BUILD)/names
	$(Q)while read -r name tool; do \
	    test $$name = $$tool || ln -sf $$tool $(BUILD)/bin/$$name; done < $(BUILD)/names

# Where folder and file are not of one name, or two tools have one name, the build would guess.
$(foreach d,$(tool_dirs),$(if $(wildcard $d/$(notdir $d).cpp),,$(error $d has no $(notdir $d).cpp)))
$(foreach d,$(tool_dirs),$(if $(filter-out $d/$(notdir $d).bpf.c,$(wildcard $d/*.bpf.c)),$(error $d has a strange .bpf.c)))
$(if $(filter-out $(words $(sort $(tools))),$(words $(tools))),$(error two tools have one name))

# The headers of the standard library and of libbpf, parsed once: half of the time of most files. The
# compiler takes HEADER.gch where it is told to include HEADER. Only headers from outside of this tree, so
# that the .d files still name every header that is ours; lint, which does without, sees what a file
# forgot to include.
pch := $(BUILD)/pch
$(pch)/kit.hpp.gch $(pch)/hot.hpp.gch: $(pch)/%.hpp.gch: common/outside.hpp | $(libraries)
	$(say) CXX $@
	@mkdir -p $(@D)
	@echo '#include "$(<F)"' > $(@:.gch=)
	$(Q)$(CXX) $(CPPFLAGS) $(CXXFLAGS) -MD -MF $(@:.gch=.d) -MT $@ -x c++-header -c $(@:.gch=) -o $@
precompiled = -Winvalid-pch -include $(basename $(filter $(pch)/%.gch,$^))
-include $(pch)/kit.hpp.d $(pch)/hot.hpp.d

# Takes the line information out of BPF objects; LINES=1 leaves it in, for verifier logs.
slim := $(if $(LINES),true,$(BUILD)/host/slim-btf)
$(BUILD)/host/slim-btf: scripts/build/slim-btf.cpp
	@mkdir -p $(@D)
	$(Q)$(HOST_CXX) $(CXXFLAGS) -no-pie $< -lbpf -lelf -o $@

$(BUILD)/bpf/%.bpf.o: %.bpf.c $(BUILD)/host/slim-btf
	$(say) BPF $*
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPFFLAGS) -I$(<D) -MMD -MP -MF $(@:.o=.d) -MT $@ -c $< -o $(@:.o=.raw.o)
	$(Q)$(BPFTOOL) gen object $@ $(@:.o=.raw.o)
	$(Q)$(LLVM_STRIP) -g $@
	$(Q)$(slim) $@

$(BUILD)/host/pack-skeleton: scripts/build/pack-skeleton.cpp
	@mkdir -p $(@D)
	$(Q)$(HOST_CXX) $(CXXFLAGS) -no-pie $< -lelf -lz -o $@

$(BUILD)/skel/%.skel.h: $(BUILD)/bpf/%.bpf.o $(BUILD)/host/pack-skeleton
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name $(subst -,_,$*)_bpf > $@.raw
	$(Q)$(BUILD)/host/pack-skeleton $< < $@.raw > $@.tmp
	$(Q)mv $@.tmp $@

$(bpf_tools:%=$(BUILD)/tools/%.o): $(BUILD)/tools/%.o: $(BUILD)/skel/%.skel.h
$(BUILD)/tools/%.o: %.cpp $(pch)/kit.hpp.gch
	$(say) CXX $*
	@mkdir -p $(@D)
	$(Q)$(CXX) $(precompiled) $(CPPFLAGS) -isystem $(BUILD)/skel -I$(<D) -I$(<D)/.. $(CXXFLAGS) -MMD -MP -MF $(@:.o=.d) -c $< -o $@

$(kit_objs) $(main_obj): $(BUILD)/kit/%.o: %.cpp
	$(say) CXX $<
	@mkdir -p $(@D)
	$(Q)$(CXX) $(precompiled) $(CPPFLAGS) $(CXXFLAGS) -MMD -MP -MF $(@:.o=.d) -c $< -o $@

hot_objs := $(filter $(BUILD)/kit/common/kernel/% $(BUILD)/kit/common/output/% $(BUILD)/kit/common/session/%,$(kit_objs))
$(hot_objs): $(pch)/hot.hpp.gch
$(hot_objs) $(pch)/hot.hpp.gch: private override CXXFLAGS += $(hot)
$(filter-out $(hot_objs),$(kit_objs) $(main_obj)): $(pch)/kit.hpp.gch

# The constants that expressions may name: most are macros, which no type information has.
$(BUILD)/gen/constants.inc: scripts/build/uapi-constants $(BUILD)/host/pack-files | $(libraries)
	@mkdir -p $(@D)
	$(Q)CXX='$(CXX)' $< $(CPPFLAGS) > $(@:.inc=.txt)
	$(Q)$(BUILD)/host/pack-files corebox_constants $(@:.inc=.txt) > $@
$(BUILD)/kit/common/expr/constants.o $(BUILD)/asan/common/expr/constants.o: $(BUILD)/gen/constants.inc
$(BUILD)/kit/common/expr/constants.o $(BUILD)/asan/common/expr/constants.o: override CPPFLAGS += -isystem $(BUILD)/gen

$(BUILD)/libkit.a: $(kit_objs)
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# BTF_BUNDLE=DIR: types of the kernels whose files scripts/min-btf left in DIR, for those that do not
# tell their own.
ifdef BTF_BUNDLE
bundle_btf := $(sort $(wildcard $(BTF_BUNDLE)/*.btf))
bundle_obj := $(BUILD)/bundle.o
$(if $(bundle_btf),,$(error BTF_BUNDLE=$(BTF_BUNDLE): no *.btf there))
$(BUILD)/bundle.cpp: $(bundle_btf) $(BUILD)/host/pack-files
	$(Q)$(BUILD)/host/pack-files corebox_btf $(bundle_btf) > $@
endif

# The hand-written texts, for `corebox help TOOL`.
texts := $(sort $(wildcard $(tool_dirs:%=%/*.md)))
# One file, each text behind a form feed and the tool's name: a third smaller than each for itself.
$(BUILD)/texts.cpp: $(texts) $(BUILD)/host/pack-files $(BUILD)/tools.list Makefile
	$(Q)for text in $(texts); do printf '\f%s\n' "$$(basename "$$text" .md)"; cat "$$text"; done > $(BUILD)/texts.md
	$(Q)$(BUILD)/host/pack-files corebox_texts $(BUILD)/texts.md > $@

$(BUILD)/host/pack-files: scripts/build/pack-files.cpp
	@mkdir -p $(@D)
	$(Q)$(HOST_CXX) $(CXXFLAGS) -no-pie $< -lz -o $@
$(BUILD)/bundle.o $(BUILD)/texts.o: %.o: %.cpp common/base/unpack.hpp | $(libraries)
	$(say) CXX $<
	$(Q)$(CXX) $(CPPFLAGS) $(CXXFLAGS) -c $< -o $@

.PHONY: bpf-objects
bpf-objects: $(bpf_tools:%=$(BUILD)/bpf/%.bpf.o)

# With another ONLY it is another program.
.PHONY: FORCE
$(BUILD)/tools.list: FORCE
	@mkdir -p $(@D)
	@echo '$(tools)' | cmp -s - $@ || echo '$(tools)' > $@

$(BUILD)/corebox: $(main_obj) $(tool_objs) $(bundle_obj) $(BUILD)/texts.o $(BUILD)/libkit.a $(BUILD)/tools.list
	$(say) LINK $@
	$(Q)$(CXX) $(LDFLAGS) $(filter-out %.list,$^) $(LDLIBS) -o $@.debug
	$(Q)$(STRIP) -o $@ $@.debug

$(single): $(BUILD)/bin/%: $(main_obj) $(BUILD)/tools/%.o $(bundle_obj) $(BUILD)/libkit.a
	$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CXX) $(LDFLAGS) -s $^ $(LDLIBS) -o $@

# Kept, though made on the way. Not all of them: a source that is older than its program would go
# unnoticed.
.SECONDARY: $(bpf_tools:%=$(BUILD)/skel/%.skel.h) $(bpf_tools:%=$(BUILD)/bpf/%.bpf.o)
.DELETE_ON_ERROR:

-include $(kit_objs:.o=.d) $(main_obj:.o=.d) $(tool_objs:.o=.d) $(bpf_tools:%=$(BUILD)/bpf/%.bpf.d)
-include tests/unit/unit.mk tests/guest/tests.mk

# The bench's own programs: static, they run in the guest.
$(BUILD)/bench/bench: tests/bench/bench.cpp
	$(say) CXX $<
	@mkdir -p $(@D)
	$(Q)$(CXX) $(CXXFLAGS) -static -Wl,--no-warnings -MMD -MP -MF $@.d $< -o $@

$(BUILD)/bench/nothing: tests/bench/nothing.c
	@mkdir -p $(@D)
	$(Q)$(CC) -O2 -static $< -o $@

# What a developer and a packager call.
.PHONY: test bench demo install man new fmt lint clean
export COREBOX_BUILD = $(BUILD)
# Both test both architectures.
$(if $(and $(cross),$(filter test matrix,$(MAKECMDGOALS))),$(error make test and make matrix are without ARCH))
test:
	+$(Q)scripts/test

bench:
	+$(Q)BUILD=$(BUILD) scripts/bench

demo: corebox
	$(Q)scripts/demo --run

# docs/SUPPORT.md, from the tests of every tool.
.PHONY: matrix
matrix:
	+$(Q)scripts/matrix

# What the examples of the man pages print, in a guest: what differs in form. TOOLS='opensnoop biotop' are
# not all; UPDATE=1 writes what was printed into the pages.
.PHONY: examples
examples: corebox
	$(Q)scripts/examples $(if $(UPDATE),--update) $(TOOLS)

# make new TOOL=area/name SHAPE=stream
new:
	$(Q)scripts/new-tool $(or $(TOOL),$(error say TOOL=area/name)) $(or $(SHAPE),stream)

# Man pages: the tool's declaration, told by the program itself, and the TOOL.md beside it.
man_pages := $(tools:%=$(BUILD)/man/%.8) $(BUILD)/man/corebox.8
man: $(man_pages)

$(BUILD)/man/corebox.8: $(BUILD)/corebox
	@mkdir -p $(@D)
	$(Q)$(RUN) $< man > $@

.SECONDEXPANSION:
$(tools:%=$(BUILD)/man/%.8): $(BUILD)/man/%.8: $(BUILD)/corebox $$(wildcard libbpf-tools/*/$$*/$$*.md)
	@mkdir -p $(@D)
	$(Q)$(RUN) $< man $* $(filter %.md,$^) > $@

# Debian's zsh looks into vendor-completions of /usr, every zsh into site-functions of its prefix.
zsh_completions = share/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
install: corebox man
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/share/man/man8 \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions \
	    $(DESTDIR)$(PREFIX)/$(zsh_completions) \
	    $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	install -m 755 $(BUILD)/corebox $(DESTDIR)$(PREFIX)/sbin/corebox
	$(RUN) $(BUILD)/corebox names | while read -r name tool; do \
	    ln -sf corebox $(DESTDIR)$(PREFIX)/sbin/$$name; \
	    test $$name = $$tool || ln -sf $$tool.8 $(DESTDIR)$(PREFIX)/share/man/man8/$$name.8; done
	install -m 644 $(man_pages) $(DESTDIR)$(PREFIX)/share/man/man8/
	$(RUN) $(BUILD)/corebox completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/corebox
	$(RUN) $(BUILD)/corebox completion zsh > $(DESTDIR)$(PREFIX)/$(zsh_completions)/_corebox
	$(RUN) $(BUILD)/corebox completion fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/corebox.fish
	$(RUN) $(BUILD)/corebox names | while read -r name tool; do \
	    ln -sf corebox $(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$name; done

# Packages, into build/packages: a Debian package, a tarball, a container image.
.PHONY: deb tarball oci
deb tarball oci: corebox man
	+$(Q)ARCH=$(ARCH) BUILD=$(BUILD) scripts/package $@

# BPF files are in kernel style, which this clang-format does not know.
cxx_files := $(wildcard common/*.[ch]pp common/*/*.[ch]pp libbpf-tools/*/*.[ch]pp \
                        libbpf-tools/*/*/*.[ch]pp tests/*/*.[ch]pp scripts/build/*.cpp)
fmt:
	$(Q)clang-format -i $(cxx_files)

lint: compile_commands.json $(BUILD)/corebox
	$(Q)scripts/lint $(cxx_files)

# For editors and clang-tidy; made from the same flags as the build.
comma := ,
cdb    = $(file >>$@,{"directory": "$(CURDIR)"$(comma) "file": "$1"$(comma) "command": "$2 -c $1"}$3)
compile_commands.json: Makefile $(cxx_files)
	$(file >$@,[)
	$(foreach f,$(kit_srcs),\
	    $(call cdb,$f,$(CXX) $(CPPFLAGS) -isystem $(BUILD)/gen $(CXXFLAGS),$(comma)))
	$(foreach f,$(wildcard tests/unit/*.cpp),\
	    $(call cdb,$f,$(CXX) $(CPPFLAGS) -DSOURCE_DIR=__FILE__ $(CXXFLAGS),$(comma)))
	$(foreach f,$(wildcard tests/guest/*.cpp),\
	    $(call cdb,$f,$(CXX) $(CPPFLAGS) -Itests/guest $(CXXFLAGS),$(comma)))
	$(foreach d,$(tool_dirs),\
	    $(call cdb,$d/$(notdir $d).cpp,$(CXX) $(CPPFLAGS) -isystem $(BUILD)/skel -I$d -I$d/.. $(CXXFLAGS),$(comma)))
	$(foreach d,$(patsubst %/,%,$(dir $(wildcard $(tool_dirs:%=%/*.bpf.c)))),\
	    $(call cdb,$d/$(notdir $d).bpf.c,$(CLANG) $(BPFFLAGS) -I$d,$(comma)))
	$(call cdb,common/main.cpp,$(CXX) $(CPPFLAGS) $(CXXFLAGS))
	$(file >>$@,])
	@:

clean:
	rm -rf $(BUILD) compile_commands.json
