#!/bin/sh
# Build the root file system that the images start from, out of the signed Debian archive, and import it.
#
# usage: build.sh TAG INPUTS
#
# TAG     image name to give, such as monsite/base:trixie
# INPUTS  digest of this folder, kept as a label so that an unchanged base is not built again
#
# The archive's mirror is mmdebstrap's own default, the signatures those of the host's Debian keyring.
set -eu

tag=$1
inputs=$2
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT INT TERM

mmdebstrap --quiet --variant=minbase --format=tar \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook="install -m 0755 '$here/flatten.sh' \"\$1/usr/local/sbin/flatten.sh\"" \
    --customize-hook="chroot \"\$1\" dpkg-query -W > '$scratch/packages'" \
    trixie "$scratch/rootfs.tar"

docker import \
    --change "LABEL monsite.base.inputs=$inputs" \
    --change "LABEL monsite.base.suite=trixie" \
    --change "LABEL monsite.base.packages.sha256=$(sha256sum <"$scratch/packages" | cut -d' ' -f1)" \
    --change "LABEL monsite.base.rootfs.sha256=$(sha256sum <"$scratch/rootfs.tar" | cut -d' ' -f1)" \
    "$scratch/rootfs.tar" "$tag"
