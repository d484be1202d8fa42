# shellcheck shell=bash
# Sourced by scripts that fetch packages of Debian without installing them: finds the mirrors that this
# machine's own apt sources name, and reads them with a private apt state. Signatures are checked
# against Debian's archive keyring. COREBOX_MIRROR=URI overrides the mirrors.
# The script that sources this file defines say() and die().

readonly keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# Prints "URI SUITE OPTIONS" for each deb source of this machine, from one-line and deb822 files.
machine_sources() {
    local etc
    eval "$(apt-config shell etc Dir::Etc/d)"
    perl -e '
        use strict;
        my ($etc) = @ARGV;
        for my $file ("$etc/sources.list", sort glob("$etc/sources.list.d/*.list")) {
            open(my $f, "<", $file) or next;
            while (<$f>) {
                s/#.*//;
                next unless /^\s*deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*)/;
                my ($options, $uri, $suite, $components) = ($1 // "", $2, $3, $4);
                next unless $components =~ /\bmain\b/;
                my $keep = join(",", grep { /^check-valid-until=/i } split(" ", $options));
                print "$uri $suite $keep\n";
            }
        }
        for my $file (sort glob("$etc/sources.list.d/*.sources")) {
            open(my $f, "<", $file) or next;
            local $/;
            my $text = <$f>;
            $text =~ s/^#.*\n//mg;
            for my $stanza (split(/\n\s*\n/, $text)) {
                $stanza =~ s/\n[ \t]+/ /g;
                my %field;
                for (split(/\n/, $stanza)) { $field{lc $1} = $2 if /^([\w-]+):\s*(.*)/; }
                next unless ($field{types} // "") =~ /\bdeb\b/;
                next if ($field{enabled} // "yes") =~ /^(no|false|0|off|without|disable)$/i;
                next unless ($field{components} // "") =~ /\bmain\b/;
                my $keep = defined $field{"check-valid-until"}
                    ? "check-valid-until=" . $field{"check-valid-until"} : "";
                for my $uri (split(" ", $field{uris} // "")) {
                    print "$uri $_ $keep\n" for split(" ", $field{suites} // "");
                }
            }
        }' "$etc"
}

# Prints candidates "URI SUITE OPTIONS" for suites, best first: the mirrors that carry one Debian
# suite for this machine carry the others beside it, and likewise for the security archive.
# Whether a candidate really is Debian's is for its signature to say.
candidates() {
    local suite uri theirs options
    local known='^(bullseye|bookworm|trixie|forky|duke|sid|(old)*stable|testing|unstable)'
    local -a sources
    mapfile -t sources < <(machine_sources)
    for suite in "$@"; do
        if [[ -n ${COREBOX_MIRROR:-} ]]; then
            printf '%s %s \n' "$COREBOX_MIRROR" "$suite"
            continue
        fi
        while read -r uri theirs options; do
            [[ $uri != cdrom:* ]] || continue
            if [[ $suite == *-security ]]; then
                [[ $theirs =~ $known([-/]security|/updates)$ ]] || continue
            else
                [[ $theirs =~ $known(-updates|-backports|-proposed-updates)?$ ]] || continue
            fi
            printf '%s %s %s\n' "$uri" "$suite" "$options"
        done < <(printf '%s\n' "${sources[@]}")
    done | awk '!seen[$0]++'
}

# Makes a private apt in directory $1 for source line $2 and architecture $3; afterwards apt-get and
# apt-cache run on it, with the machine's own way to the network (Acquire::*: proxies, retries).
private_apt() {
    local dir=$1 line=$2 architecture=$3
    mkdir -p "$dir"/{state/lists/partial,cache/archives/partial,etc/none}
    : >"$dir/state/status"
    printf '%s\n' "$line" >"$dir/etc/sources.list"
    {
        apt-config dump | grep '^Acquire::' | grep -v '^Acquire::IndexTargets' || true
        cat <<END
Dir::State "$dir/state";
Dir::State::status "$dir/state/status";
Dir::Cache "$dir/cache";
Dir::Etc::main "$dir/etc/none/none";
Dir::Etc::parts "$dir/etc/none";
Dir::Etc::sourcelist "$dir/etc/sources.list";
Dir::Etc::sourceparts "$dir/etc/none";
Dir::Etc::preferences "$dir/etc/none/none";
Dir::Etc::preferencesparts "$dir/etc/none";
Dir::Etc::trusted "$dir/etc/none/none";
Dir::Etc::trustedparts "$dir/etc/none";
APT::Architecture "$architecture";
APT::Architectures { "$architecture"; };
APT::Sandbox::User "root";
APT::Get::List-Cleanup "false";
Acquire::Languages "none";
Acquire::AllowInsecureRepositories "false";
Acquire::Retries "3";
END
    } >"$dir/etc/apt.conf"
    export APT_CONFIG=$dir/etc/apt.conf
}

# Gets the lists of the private apt. apt-get's status alone does not tell a failed download.
update() {
    apt-get -q update >"$1" 2>&1 && ! grep -qE '^E:|^W: (Failed|GPG|Some index)' "$1"
}

# Opens mirror "URI SUITE OPTIONS" ($1, a line of candidates) for architecture $2: a private apt in
# $3/apt, with its lists. Says why if it cannot.
open_mirror() {
    local uri suite options work=$3
    read -r uri suite options <<<"$1"
    rm -rf "$work/apt"
    private_apt "$work/apt" \
        "deb [signed-by=$keyring arch=$2${options:+ ${options//,/ }}] $uri $suite main" "$2"
    ! update "$work/log" || return 0
    # A mirror that stands still (a snapshot) serves lists beyond their date. Their signature is as
    # good as before, and what comes from there only runs, or is linked for, an emulated machine.
    if grep -q 'is expired' "$work/log"; then
        say "the lists of $suite are past their date; taking them, signature checked"
        printf 'Acquire::Check-Valid-Until "false";\n' >>"$APT_CONFIG"
        rm -rf "$work/apt/state/lists"
        mkdir -p "$work/apt/state/lists/partial"
        ! update "$work/log" || return 0
    fi
    sed "s/^/  /" "$work/log" >&2
    return 1
}

# Downloads packages into directory $1 through the open mirror; says why if it cannot.
download() {
    local dir=$1 log
    shift
    say "downloading $*"
    log=$(mktemp)
    if ! (cd "$dir" && apt-get -q download "$@") >"$log" 2>&1; then
        sed 's/^/  /' "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

# Fetches packages of suite $2 for architecture $3 and unpacks them below directory $1, once: later
# calls find the directory complete and need no network. Function $4 prints the packages' names; it
# runs when a mirror is open and may ask apt. $1/.packages then has a line "NAME VERSION" for each.
fetch_packages() ( # subshell: its trap, lock and APT_CONFIG end with it
    local dest=$1 suite=$2 architecture=$3 print_packages=$4 work line deb
    local -a fetch_sources fetched # not names that print_packages may read: scope is dynamic
    [[ ! -e $dest/.complete ]] || exit 0
    mkdir -p "$(dirname "$dest")"
    exec 9>"$dest.lock"
    flock 9
    [[ ! -e $dest/.complete ]] || exit 0 # another process was faster
    [[ -r $keyring ]] || die "no $keyring: run scripts/deps"
    mapfile -t fetch_sources < <(candidates "$suite")
    ((${#fetch_sources[@]})) || die "no Debian mirror in this machine's apt sources (COREBOX_MIRROR?)"
    work=$(mktemp -d "$dest.XXXXXX")
    # shellcheck disable=SC2064
    trap "rm -rf '$work'" EXIT
    chmod 755 "$work"
    for line in "${fetch_sources[@]}"; do
        rm -rf "$work/debs" "$work/root"
        mkdir "$work/debs" "$work/root"
        open_mirror "$line" "$architecture" "$work" || continue
        mapfile -t fetched < <("$print_packages")
        ((${#fetched[@]})) || { say "no such packages in $suite"; continue; }
        download "$work/debs" "${fetched[@]}" || continue
        for deb in "$work"/debs/*.deb; do
            dpkg-deb -x "$deb" "$work/root"
            # shellcheck disable=SC2016 # dpkg's variables
            dpkg-deb -W --showformat='${Package} ${Version}\n' "$deb" >>"$work/root/.packages"
        done
        touch "$work/root/.complete"
        rm -rf "$dest"
        mv "$work/root" "$dest"
        exit 0
    done
    die "cannot fetch the packages for $dest from any mirror of this machine"
)
