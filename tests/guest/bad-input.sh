#!/bin/bash
# Bad input: each kind ends with one line that says what, where and what to do, and
# with its exit status; nothing on stdout, nothing left running.
#
#     tests/guest/bad-input.sh [./dbt-run]
set -u
cd "$(dirname "$0")/../.."
run=$(realpath "${1:-${DBT:-./dbt-run}}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 2
passed=0
failed=0

# bad STATUS WORDS ARG...: dbt-run ARG... must end so, with WORDS in its one line.
bad() {
    local status=$1 words=$2 got text
    shift 2
    timeout 20 "$run" "$@" >out 2>err </dev/null
    got=$?
    text=$(cat err)
    if [ "$got" = "$status" ] && [[ "$text" == "dbt-run: "*"$words"* ]] &&
        [ "$(wc -l <err)" = 1 ] && [ ! -s out ]; then
        passed=$((passed + 1))
        return
    fi
    failed=$((failed + 1))
    echo "FAILED: dbt-run $*"
    echo "    wanted: status $status, one line 'dbt-run: ...$words...'"
    echo "    got:    status $got, $(wc -l <err) lines: $text"
}

# patch FILE OFFSET ESCAPES: overwrites bytes, as printf writes them.
patch() {
    printf "$3" | dd of="$1" bs=1 seek=$(($2)) conv=notrunc status=none
}

# ---- The files -----------------------------------------------------------------

# A Linux Image of 1 MiB: text offset 2 MiB, image size 4 MiB.
truncate -s 1M Image
patch Image 8 '\x00\x00\x20\x00\x00\x00\x00\x00\x00\x00\x40'
patch Image 0x30 'RISCV\0\0\0RSC\x05'

# The same with a PE header at 0x40 whose one section ends with the file.
cp Image Image.efi
patch Image.efi 0 'MZ'
patch Image.efi 0x3c '\x40'
patch Image.efi 0x40 'PE\0\0\x64\x50\x01\0'
patch Image.efi 0x68 '\x00\x00\x10\x00\x00\x00\x00\x00'

# An ELF: header, one segment of 0x1000 bytes at RAM's start, from offset 0x1000.
truncate -s 8K elf
patch elf 0 '\x7fELF\x02\x01\x01'
patch elf 16 '\x02\x00\xf3\x00\x01\x00\x00\x00\x00\x00\x00\x80\x00\x00\x00\x00\x40'
patch elf 52 '\x40\x00\x38\x00\x01\x00\x40'
patch elf 0x40 '\x01\x00\x00\x00\x07\x00\x00\x00\x00\x10'
patch elf 0x50 '\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00\x80\x00\x00\x00\x00\x00\x10'
patch elf 0x68 '\x00\x10'

# copy_of FILE NAME OFFSET ESCAPES: a copy, patched.
copy_of() {
    cp "$1" "$2"
    patch "$2" "$3" "$4"
}

mkdir folder
: >empty
echo "this is no program" >text
truncate -s 100M big

# ---- Files that cannot be read ----------------------------------------------------

bad 1 'nothing to run'
bad 1 'cannot open nowhere: No such file' nowhere
bad 1 'cannot open nowhere: No such file' -kernel nowhere
bad 1 'folder is a directory' folder
bad 1 'folder is a directory' Image -initrd folder
bad 1 'empty is empty' empty
bad 1 'empty is empty' Image -initrd empty
bad 1 'is neither a file nor a pipe' /dev/null
bad 1 'cannot open nowhere' Image -initrd nowhere
bad 1 'cannot open nowhere' Image -dtb nowhere
bad 1 'cannot open nowhere' Image -bios nowhere
if [ "$(id -u)" != 0 ]; then
    cp Image secret
    chmod 000 secret
    bad 1 'Permission denied' secret
fi

# ---- Linux Images -----------------------------------------------------------------

head -c 60 Image >short
bad 1 'truncated Linux Image: it ends in its header' short
head -c 64 Image.efi >short-efi
bad 1 'truncated Linux Image' short-efi
head -c 500000 Image.efi >half-efi
bad 1 'truncated Linux Image: 500000 bytes of 1048576' half-efi
copy_of Image big-endian 24 '\x01'
bad 1 'big-endian Linux Image' big-endian
copy_of Image odd 8 '\x01'
bad 1 'damaged Linux Image: text offset' odd
copy_of Image far 14 '\xff\xff'
bad 1 'does not fit into RAM' far
copy_of Image huge 16 '\x00\x00\x00\x00\x01'
bad 1 'does not fit into RAM' huge
copy_of Image wrap 16 '\xff\xff\xff\xff\xff\xff\xff\xff'
bad 1 'does not fit into RAM' wrap
bad 1 'does not fit into RAM' Image -m 2M
bad 1 'give more with -m' Image -m 4M
copy_of Image arm64 0x30 '\0\0\0\0\0\0\0\0ARM\x64'
bad 1 'a Linux Image for arm64' arm64
truncate -s 4K bzimage
patch bzimage 0x202 'HdrS'
bad 1 'a Linux kernel for x86' bzimage

# ---- Packed kernels ----------------------------------------------------------------

gzip -9kc Image >Image.gz
head -c 500 Image.gz >half.gz
bad 1 'half.gz ends in the middle of its packed data' half.gz
copy_of Image.gz bent.gz 300 '\xff\xff\xff\xff\xff\xff\xff\xff'
bad 1 'its packed data is damaged' bent.gz
gzip -9kc big >big.gz
bad 1 'unpacks to more than the guest' big.gz -m 64M
gzip -c text >text.gz
bad 1 'text.gz is nothing I know' text.gz
gzip -c empty >empty.gz
bad 1 'unpacks to nothing' empty.gz
if command -v zstd >/dev/null; then
    zstd -q Image
    head -c 40 Image.zst >half.zst
    bad 1 'half.zst ends in the middle' half.zst
fi
printf '\x28\xb5\x2f\xfdnonsense' >bent.zst
bad 1 'its packed data is damaged' bent.zst
printf '\xfd7zXZ\0' >kernel.xz
bad 1 'an xz file: unpack it with xz -d' kernel.xz
truncate -s 64 zboot
patch zboot 0 'MZ\0\0zimg\x40\0\0\0\xff\xff\0\0'
bad 1 'truncated EFI zboot kernel' zboot
copy_of zboot zboot.lzma 12 '\0\0\0\0'
patch zboot.lzma 24 'lzma'
bad 1 "packed with 'lzma'" zboot.lzma

# ---- ELF files ---------------------------------------------------------------------

bad 1 'for another machine (e_machine 62)' /bin/true
copy_of elf elf32 4 '\x01'
bad 1 '32-bit ELF file' elf32
copy_of elf elf-be 5 '\x02'
bad 1 'big-endian ELF file' elf-be
copy_of elf elf-rel 16 '\x01'
bad 1 'link it to an executable' elf-rel
copy_of elf elf-none 56 '\x00'
bad 1 'without segments' elf-none
copy_of elf elf-phoff 34 '\xff'
bad 1 'its program headers are missing' elf-phoff
head -c 30 elf >elf-30
bad 1 'truncated ELF file: it ends in its header' elf-30
head -c 7000 elf >elf-7000
bad 1 'truncated ELF file: the segment at 0x80000000' elf-7000
copy_of elf elf-mem 0x68 '\x00\x01'
bad 1 'damaged ELF file' elf-mem
copy_of elf elf-entry 24 '\x00\x00\x00\x90'
bad 1 'entry point 0x90000000 is in none of its segments' elf-entry
copy_of elf elf-user 0x58 '\x00\x00\x01\x00'
bad 1 'lies outside RAM' elf-user
copy_of elf elf-linux 0x40 '\x03'
bad 1 'user mode is not there yet' elf-linux
copy_of elf elf-kernel 0x54 '\xff\xff\xff\xff'
patch elf-kernel 0x5c '\xff\xff\xff\xff'
bad 1 'give arch/riscv/boot/Image' elf-kernel
copy_of elf elf-bss 0x6b '\x80'
bad 1 'does not fit into RAM' elf-bss -m 64M
bad 1 'overlaps' elf -bios elf --as supervisor

# ---- Other files -------------------------------------------------------------------

bad 1 'text is nothing I know' text
truncate -s 1M disk
patch disk 0x1fe '\x55\xaa'
bad 1 'a disk image with a partition table: give it as --drive' -kernel disk
copy_of disk gpt 0x200 'EFI PART'
bad 1 'a disk image with a GPT: give it as --drive' -kernel gpt
printf 'QFI\xfb\0\0\0\3' >qcow2
bad 1 'a qcow2 disk image: give it as --drive' -kernel qcow2
truncate -s 1M ext4
patch ext4 0x438 '\x53\xef'
bad 1 'an ext2/3/4 file system: give it as --drive' ext4
printf '070701' >cpio
bad 1 'give it as -initrd' cpio
printf '#!/bin/sh\n' >script
bad 1 'a script' script

# ---- Beside the kernel -------------------------------------------------------------

bad 1 'big does not fit into RAM' Image -initrd big -m 64M
truncate -s 58M initrd
bad 1 'overlaps' Image -initrd initrd -m 64M
bad 1 'not a sound device tree' Image -dtb text
printf '\xd0\x0d\xfe\xed\0\0\xff\xff' >bent.dtb
bad 1 'not a sound device tree' Image -dtb bent.dtb
bad 1 'at most 1048576' Image -dtb big
bad 1 'is a Linux kernel, not a firmware' Image -bios Image
bad 1 'one thing to run' Image -kernel Image
bad 1 'a kernel takes 1023' Image -append "$(head -c 1024 /dev/zero | tr '\0' x)"
bad 1 'nothing to run' -append x
bad 1 'without a firmware' Image --as machine --firmware opensbi
bad 1 'needs a firmware below it' elf --as supervisor -bios none

# ---- Options -----------------------------------------------------------------------

bad 1 'did you mean -kernel?' -kernell Image
bad 1 'unknown option' --frobnicate Image
bad 1 '-initrd needs a value' Image -initrd
bad 1 'takes no value' Image -nographic=1
bad 1 'the image is Image already' Image Image
bad 1 'not a size' Image -m lots
bad 1 'between 1M and 1T' Image -m 9T
bad 1 'at most 64 harts' Image -smp 65
bad 1 'not a number of harts' Image -smp 0
bad 1 'counts instructions, which is --time virtual' Image -smp 2 --engine check --time host
bad 1 'the only one' Image -M spike
bad 1 '--cpu' Image --cpu pentium
bad 1 '--cpu' Image --cpu default,warp=on
bad 1 'jit, interp or check' Image --engine warp
bad 1 'no such category' Image -d everything
bad 1 'not a range' Image --filter main
bad 1 'not known' Image --stress coffee
bad 1 'between 1M and 2G' Image --cache-size 1K
bad 1 'host or virtual' Image --time lunar
bad 1 'the debugger' Image -s
bad 1 '-D folder' Image -D folder
bad 1 'cannot write' Image --dump-dtb folder
bad 1 '-serial telepathy: not known' elf -serial telepathy
bad 1 'Ctrl-A c is the monitor' elf --monitor stdio
bad 1 '--monitor unix:/nowhere/m: cannot listen there' elf --monitor unix:/nowhere/m
bad 1 'there is one monitor' elf --monitor unix:m --monitor unix:n
bad 1 '-serial file:folder' elf -serial file:folder
bad 1 'cannot connect' elf -serial unix:nobody

bad 1 'cannot write folder/none/x' elf --stats=folder/none/x

# ---- Drives --------------------------------------------------------------------------

bad 1 'cannot open nowhere' Image --drive nowhere
bad 1 'cannot open nowhere' Image --drive file=nowhere,readonly=on
bad 1 'Is a directory' Image --drive folder
bad 1 'empty is empty; truncate -s 1G empty' Image --drive empty
bad 1 'neither a file nor a block device' Image --drive /dev/null
bad 1 'qcow2: qemu-nbd cannot open it: ' Image --drive qcow2
bad 1 'qcow2: qemu-nbd cannot open it: ' qcow2
bad 1 'Image is not in qcow2 format' Image -drive file=disk,format=qcow2
bad 1 'an unknown format; there are raw, qcow2' Image -drive file=disk,format=qcow7
printf '#!/bin/sh\nPATH=/nowhere exec "%s" "$@"\n' "$run" >without-path
chmod +x without-path
run=./without-path bad 1 'install the package qemu-utils (scripts/deps.sh formats)' Image --drive qcow2
qemu-img create -q -f qcow2 -F raw -b disk layer
mv disk gone
bad 1 'layer: qemu-nbd cannot open it: Could not open' Image --drive layer
mv gone disk
bad 1 'layer is in use by another machine' Image --drive layer --drive layer
bad 1 'Image.gz is a gzip file: unpack it first' Image --drive Image.gz
bad 1 'disk is in use by another machine' Image --drive disk --drive disk
bad 1 'disk is in use by another machine' disk --drive disk
bad 1 'ext4 cannot be booted, it has no partition table; give a -kernel' --drive ext4
bad 1 'ext4 cannot be booted, it has no partition table; give disk first' --drive ext4 --drive disk
bad 1 'cannot open nowhere.img: No such file' --drive nowhere.img
bad 1 'Image.gz is a gzip file: unpack it first' --drive Image.gz
bad 1 "-append: a disk's own boot loader has" disk -append quiet
bad 1 "-initrd: a disk's own boot loader has" --drive disk -initrd Image
bad 1 'which file?' Image --drive readonly=on
bad 1 'is not known' Image --drive disk,size=5
bad 1 'readonly=maybe: on or off' Image --drive disk,readonly=maybe
bad 1 'disks are virtio' Image -drive file=disk,if=ide
bad 1 'in the order in which they are given' Image -drive file=disk,index=2
bad 1 'at most 20 characters' Image --drive disk,serial=123456789012345678901
bad 1 'is given to no device' Image -drive file=disk,if=none,id=a
bad 1 'needs an id=' Image -drive file=disk,if=none
bad 1 'there is no -drive with id=a' Image -device virtio-blk-device,drive=a
bad 1 'is a device already' Image -drive file=disk,id=a -device virtio-blk-device,drive=a
bad 1 'virtio-blk-pci,drive=a: there is no -drive' Image -device virtio-blk-pci,drive=a
bad 1 'the PLIC takes no MSI' Image -device virtio-rng-pci,vectors=2
bad 1 'write --console stdio' Image -device virtio-serial-pci
bad 1 'write --console stdio' Image -device virtconsole
bad 1 'if=pflash: cannot open nowhere' -drive if=pflash,file=nowhere
bad 1 'if=pflash: disk has' -drive if=pflash,file=disk
bad 1 'truncate -s 32M' -pflash disk
bad 1 'bank 0 is disk already' -drive if=pflash,unit=0,file=disk -drive if=pflash,unit=0,file=e
bad 1 'unit=2: of if=pflash, 0 or 1' -drive if=pflash,unit=2,file=disk
truncate -s 32M flash
bad 1 'both the firmware in flash and Image are given' -pflash flash Image
bad 1 'cannot open nowhere' Image -fw_cfg name=opt/a,file=nowhere
bad 1 'needs file=F or string=S' Image -fw_cfg name=opt/a
bad 1 'which name?' Image -fw_cfg string=s
bad 1 'is not there; virtio-blk-pci' Image -device e1000
bad 1 'write --drive file=PATH' Image -hda disk
bad 1 'the first --drive is what boots' disk -boot order=c
bad 1 "the guest's clock is the host's, in UTC" disk -rtc base=utc
bad 1 '--console telepathy: not known' elf --console telepathy
bad 1 'the board has 8 virtio slots' Image --drive disk,ro -device virtio-rng-device \
    -device virtio-rng-device -device virtio-rng-device -device virtio-rng-device \
    -device virtio-rng-device -device virtio-rng-device -device virtio-rng-device \
    -device virtio-rng-device
bad 1 'the board has 8 virtio slots' disk -device virtio-rng-device \
    -device virtio-rng-device -device virtio-rng-device -device virtio-rng-device \
    -device virtio-rng-device -device virtio-rng-device -device virtio-rng-device \
    -device virtio-rng-device
if [ "$(id -u)" != 0 ]; then
    cp disk locked
    chmod 400 locked
    bad 1 'readonly=on or snapshot=on leave it' Image --drive locked
fi

# ---- Networks --------------------------------------------------------------------------------

bad 1 'write tcp|udp:[ADDRESS]:PORT-[ADDRESS]:PORT' Image --net user,hostfwd=2222:22
bad 1 "'localhost' is no IPv4 address" Image --net user,hostfwd=tcp:localhost:2222-:22
bad 1 'one address is IPv4' Image --net user,hostfwd=tcp:[::1]:2222-10.0.2.15:22
bad 1 "'::x' is no IPv6 address" Image --net user,hostfwd=tcp:[::x]:2222-:22
bad 1 'this host has no such address' Image --net user,hostfwd=tcp:[2001:db8::1]:2222-:22
bad 1 'start it first: passt --socket nobody' Image --net passt=nobody
bad 1 'given to no device' Image -netdev user,id=n
bad 1 'cannot be had with --time virtual' Image --net user --time virtual
bad 1 'this host has no such address' Image --net user,hostfwd=tcp:192.0.2.1:2222-:22
if [ "$(id -u)" != 0 ]; then
    bad 1 'tap' Image --net tap=tap-not-mine # the driver cannot be opened, or no rights to it
fi
python3 -c 'import socket, sys, time
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()
print(s.getsockname()[1], flush=True)
time.sleep(60)' >port &
holder=$!
while [ ! -s port ]; do sleep 0.1; done
bad 1 'another program has it, choose another port' Image --net user,hostfwd="tcp:127.0.0.1:$(cat port)-:22"
bad 1 'Address already in use' Image --net user,hostfwd="tcp::$(cat port)-:22"
kill $holder

# ---- Shared folders --------------------------------------------------------------------

bad 1 'cannot share nowhere: No such file' Image --share nowhere
bad 1 'cannot share text: it is no folder' Image --share text,ro
bad 1 "cannot share /proc: it is a door into the host's kernel" Image --share /proc
bad 1 'which folder?' Image --share tag=t
bad 1 'size is not known' Image --share folder,size=5
bad 1 'ro=maybe: on or off' Image --share folder,ro=maybe
bad 1 'tag= needs a value' Image --share folder,tag=
bad 1 'at most 36 characters' Image --share folder,tag=1234567890123456789012345678901234567
bad 1 'no blanks' Image --share 'folder,tag=a b'
bad 1 'tag=share is folder already; give this folder another one' Image --share folder --share .
bad 1 'the board has 8 virtio slots' Image --share folder -device virtio-rng-device \
    -device virtio-rng-device -device virtio-rng-device -device virtio-rng-device \
    -device virtio-rng-device -device virtio-rng-device -device virtio-rng-device \
    -device virtio-rng-device
bad 1 'write --share /a,tag=t, and in the guest mount -t virtiofs t /mnt' Image \
    -virtfs local,path=/a,mount_tag=t,security_model=none
bad 1 'write --share /a,tag=t,ro, and' Image -virtfs local,path=/a,mount_tag=t,readonly=on
bad 1 'write --share /a,tag=share, and' Image -fsdev local,id=f,path=/a,security_model=none
bad 1 'write --share FOLDER,tag=t, and' Image -device virtio-9p-device,fsdev=f,mount_tag=t
bad 1 'write --share FOLDER,tag=t, and' Image -device virtio-9p-pci,fsdev=f,mount_tag=t
bad 1 'without 9p or a daemon' Image -device vhost-user-fs-device,chardev=c,tag=t
if [ "$(id -u)" != 0 ]; then
    mkdir -m 500 unwritable
    mkdir -m 300 unreadable
    bad 1 'nothing can be written there: Permission denied; add ,ro' Image --share unwritable
    bad 1 'it cannot be read: Permission denied' Image --share unreadable,ro
fi

# ---- Signatures ---------------------------------------------------------------------------

cat >bare.S <<'end'
.globl _start, low, high, far
_start: j _start
low: .word 1
high:
.set far, 0x90000000
.set near, 0x100
end
riscv64-linux-gnu-gcc -nostdlib -static -Wl,-N,-Ttext=0x80000000 -Wl,--build-id=none \
    -Wl,--no-warn-rwx-segments -o bare bare.S
bad 1 "no symbol 'begin_signature'" bare --signature=f
bad 1 "no symbol 'high_'" bare --signature=f,low,high_
bad 1 'lies behind' bare --signature=f,high,low
bad 1 'outside RAM' bare --signature=f,low,far -m 64M
bad 1 'outside RAM' bare --signature=f,near,high
bad 1 'not an ELF file' Image --signature=f
bad 1 'nothing to run' -bios elf --signature=f
bad 1 "no symbol 'begin_signature'" elf --signature=f
bad 1 'cannot write folder' bare --signature=folder,low,high
bad 2 'cannot write /dev/full' bare --signature=/dev/full,low,high --max-insns 1000
bad 1 'not FILE or FILE,BEGIN,END' bare --signature=f,low

# ---- Standard descriptors that the caller closed ----------------------------------------

# Files of ours must not take their numbers: what the guest prints would land in them. A guest
# that never ends is looked at while it runs.
closed() {
    local pid fd wrong=
    "$run" -serial stdio spin "$@" 0<&- 1>&- 2>&- &
    pid=$!
    sleep 0.5
    for fd in 0 1 2; do
        [ "$(readlink "/proc/$pid/fd/$fd")" = /dev/null ] ||
            wrong+=" $fd is $(readlink "/proc/$pid/fd/$fd")"
    done
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null
    if [ -z "$wrong" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: closed descriptors, $*:$wrong"
    fi
}
printf '.globl _start\n_start: j _start\n' >spin.S
riscv64-linux-gnu-gcc -nostdlib -static -Wl,-N,-Ttext=0x80000000 -Wl,--build-id=none \
    -Wl,--no-warn-rwx-segments -o spin spin.S
closed --engine jit
closed --engine interp

# ---- A guest that starts anew as fast as it can ---------------------------------------

# Ctrl-A x ends it, whenever it is typed.
printf '.globl _start\n_start: li t0, 0x100000\nli t1, 0x7777\nsw t1, (t0)\n1: j 1b\n' >anew.S
riscv64-linux-gnu-gcc -nostdlib -static -Wl,-N,-Ttext=0x80000000 -Wl,--build-id=none \
    -Wl,--no-warn-rwx-segments -o anew anew.S
for delay in 0.30 0.31 0.32 0.33 0.34 0.35; do
    if { sleep $delay; printf '\001x'; } | timeout 20 "$run" -m 16M -serial mon:stdio anew >out 2>err &&
        [ ! -s err ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: Ctrl-A x after $delay s of resets: $(tail -n 1 err)"
    fi
done

# ---- What the host has not ------------------------------------------------------------

bad 1 'this host has' Image -m 1T
# Where no file may grow that far: guest RAM is one. (The signal for that would end us.)
limit=$(ulimit -S -f)
ulimit -S -f 1000
bad 1 'File too large' Image
ulimit -S -f "$limit"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
