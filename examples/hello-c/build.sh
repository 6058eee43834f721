# Builds hello.c in Nix's sandbox, where /bin/sh is a static busybox and nothing else exists but the inputs.
#
# The toolchain comes as Debian packages. Debian's programs ask for their dynamic loader under /lib, which a sandbox
# has not, so that each is started through the loader by a small script; gcc finds those of its own programs by -B.
set -eu

toolchain=$PWD/toolchain
mkdir "$toolchain" tools
# Where every directory for programs and libraries lies under /usr, the old names are links.
for name in bin lib lib64; do
    mkdir -p "$toolchain/usr/$name"
    ln -s "usr/$name" "$toolchain/$name"
done
echo "unpacking $(echo $packages | wc -w) packages"
for package in $packages; do
    dpkg-deb -x "$package" "$toolchain"
done

libraries=$(echo "$toolchain"/usr/lib/*-linux-gnu)
loader=$(echo "$libraries"/ld-linux-*.so.*)

wrap() { # NAME PROGRAM: a script that starts the program through the loader
    printf '#!/bin/sh\nexec %s --library-path %s %s "$@"\n' "$loader" "$libraries" "$2" >"tools/$1"
    chmod +x "tools/$1"
}
for program in as ld; do
    wrap "$program" "$(realpath "$toolchain/usr/bin/$program")"
done
for program in cc1 collect2; do
    wrap "$program" "$(realpath "$toolchain"/usr/libexec/gcc/*/*/"$program")"
done
wrap gcc "$(realpath "$toolchain/usr/bin/gcc")"

echo "compiling hello.c"
mkdir -p "$out/bin"
tools/gcc -B "$PWD/tools/" --sysroot="$toolchain" -O2 -static -o "$out/bin/hello" "$source"
"$out/bin/hello" >"$out/greeting"
