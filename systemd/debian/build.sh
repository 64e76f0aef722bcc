#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes a Debian package of an installed tree:
#     build.sh TREE VERSION OUT        TREE: by make install DESTDIR=TREE PREFIX=/usr
# Dependencies are what the programs are linked to, by dpkg-shlibdeps.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tree=$1 version=$2 out=$3
name=deepsad
rm -rf "$tree/usr/lib/libdeepsad.a" "$tree/usr/include" # for programmers, not for servers
rmdir "$tree/usr/lib" 2>/dev/null || true
strip --strip-unneeded --remove-section=.comment "$tree"/usr/bin/*
gzip -9nf "$tree"/usr/share/man/man*/*
doc=$tree/usr/share/doc/$name
mkdir -p "$doc" "$tree/DEBIAN"
cp "$here/copyright" "$doc/copyright"
printf '%s (%s) unstable; urgency=medium\n\n  * %s\n\n -- %s  %s\n' $name "$version" \
    "Release $version." "deepsad maintainers <maintainers@deepsad.invalid>" \
    "$(date -R -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}")" | gzip -9n >"$doc/changelog.gz"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/debian"
printf 'Source: %s\n\nPackage: %s\nArchitecture: any\n' $name $name >"$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O "$tree"/usr/bin/* 2>/dev/null |
    sed 's/^shlibs:Depends=//')
# The variant that was measured; the openmp one would have to be pinned to one thread.
depends=$(echo "$depends" | sed 's/libopenblas0\b/libopenblas0-pthread/')
depends="$depends, init-system-helpers (>= 1.54~)"
size=$(du -sk "$tree" | cut -f 1)
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$(dpkg --print-architecture)/" \
    -e "s/@SIZE@/$size/" -e "s/@DEPENDS@/$depends/" "$here/control" >"$tree/DEBIAN/control"
for script in postinst prerm postrm; do
    install -m 755 "$here/$script" "$tree/DEBIAN/$script"
done
echo /etc/deepsad/deepsadd.yaml >"$tree/DEBIAN/conffiles"
(cd "$tree" && find . -type f ! -path './DEBIAN/*' -printf '%P\n' | sort | xargs md5sum) \
    >"$tree/DEBIAN/md5sums"
find "$tree" -type d -exec chmod 755 {} +
dpkg-deb --root-owner-group -Zxz --build "$tree" "$out" >/dev/null
echo "$out: $(dpkg-deb -f "$out" Depends)"
