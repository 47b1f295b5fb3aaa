#!/bin/sh
# Copy the dependency closure of the named packages, and nothing else, to /rootfs.
#
# usage: flatten.sh PACKAGE... [--without PACKAGE...]
#
# The packages must be installed. What follows --without is left out although something depends on
# it. apt, dpkg, perl and whatever only they need never come along: no one installs in a running container.
set -eu

target=/rootfs
refused='dpkg perl-base apt debconf passwd adduser login login.defs tzdata media-types readline-common'

wanted=''
while [ $# -gt 0 ] && [ "$1" != --without ]; do
    wanted="$wanted $1"
    shift
done
[ $# -eq 0 ] || shift
refused="$refused $*"

closure=''
queue=$wanted
while [ -n "$queue" ]; do
    next=''
    for package in $queue; do
        case " $closure $refused " in *" $package "*) continue ;; esac
        dpkg-query -W "$package" >/dev/null 2>&1 || continue # a virtual package, or the other side of an "or"
        closure="$closure $package"
        next="$next $(apt-cache depends --installed --no-recommends --no-suggests --no-conflicts \
            --no-breaks --no-replaces --no-enhances "$package" | sed -n 's/^ *|\{0,1\}\(Pre\)\{0,1\}Depends: //p' | tr -d '<>' | tr '\n' ' ')"
    done
    queue=$(echo "$next" | tr ' ' '\n' | sort -u | tr '\n' ' ' | sed 's/^ *$//')
done

for package in $wanted; do
    case " $closure " in *" $package "*) ;; *)
        echo "flatten: $package is not installed; name it in apt-get install first" >&2
        exit 1 ;;
    esac
done

mkdir -p "$target"
# shellcheck disable=SC2086 # a list of package names, split on purpose
dpkg-query -L base-files $closure | sort -u |
    grep -vE '^/(\.|usr/share/(doc|man|info|locale|lintian|bug|doc-base|bash-completion|zsh|fish|applications|pixmaps|icons|common-licenses|base-files|dict|reportbug|binfmts|python3/runtime\.d|caddy)(/.*)?|etc/(caddy|init\.d|default|profile\.d|update-motd\.d|skel|logrotate\.d|apparmor\.d|cron\..*)(/.*)?|(usr/)?lib/(systemd|python3[^/]*/(test|idlelib|ensurepip|turtledemo|lib2to3|pydoc_data))(/.*)?|usr/bin/(pydoc|py3compile|py3clean|py3versions|2to3|pdb|pygettext|fastapi).*)$' |
    while read -r path; do
        if [ -e "$path" ] || [ -L "$path" ]; then echo "${path#/}"; fi
    done >/tmp/paths
tar --create --directory=/ --no-recursion --files-from=/tmp/paths --file=/tmp/closure.tar
tar --extract --directory="$target" --file=/tmp/closure.tar

printf 'root:x:0:0:root:/root:/usr/sbin/nologin\nmonsite:x:1001:1001:monsite:/nonexistent:/usr/sbin/nologin\n' >"$target/etc/passwd"
printf 'root:x:0:\nmonsite:x:1001:\n' >"$target/etc/group"
ldconfig -r "$target"

# What is installed, where scanners look for it.
mkdir -p "$target/var/lib/dpkg"
# shellcheck disable=SC2086
dpkg-query -s base-files $closure >"$target/var/lib/dpkg/status"
mkdir -p "$target/var/lib/dpkg/info"
for package in base-files $closure; do
    dpkg-query -L "$package" | while read -r path; do
        if [ -e "$target$path" ] || [ -L "$target$path" ]; then echo "$path"; fi
    done >"$target/var/lib/dpkg/info/$package.list"
done

# Compiled now, checked never: the root file system is read-only when it runs.
if [ -x "$target/usr/bin/python3" ]; then
    find "$target/usr/lib" -name __pycache__ -type d -prune -exec rm -rf {} +
    python3 -m compileall -q --invalidation-mode unchecked-hash -s "$target" -p / "$target"/usr/lib/python3* >/dev/null
fi

find "$target" -xdev -perm /6000 -type f -exec chmod a-s {} +
mkdir -p "$target/app" "$target/tmp" "$target/proc" "$target/sys" "$target/dev" "$target/srv" "$target/run/secrets"
chmod 1777 "$target/tmp"
