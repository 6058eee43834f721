/* The firmware of the proof guest for x86-64 (proof.py has it as bytes): 64 KiB, of which this is the beginning.
 *
 * From the reset vector through protected mode into long mode with paging, some work on memory there, an instruction
 * with a VEX prefix where the processor says it has them (a KVM that interprets the guest, for want of hardware, has
 * been seen to fail at exactly those), "ok" on the serial port, and a restart by the keyboard controller.
 *
 *     as --64 proof_x86_64.S -o proof.o && objcopy -O binary -j .text proof.o proof.bin
 */
.code16
.text
start:
    cli
    data32 lgdt %cs:gdtr - start
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    data32 ljmp $8, $(0xffff0000 + protected - start)

.code32
protected:
    mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $0x1000, %edi           /* page tables: the lowest 2 MiB and the topmost, where this code is */
    xor %eax, %eax
    mov $0x1000, %ecx
    cld
    rep stosl
    movl $0x2003, 0x1000
    movl $0x3003, 0x2000
    movl $0x4003, 0x2018
    movl $0x00000083, 0x3000
    movl $0xffe00083, 0x4ff8
    mov $0x1000, %eax
    mov %eax, %cr3
    mov %cr4, %eax
    or $0x20, %eax              /* PAE */
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax             /* EFER.LME */
    wrmsr
    mov %cr0, %eax
    or $0x80000000, %eax        /* paging */
    mov %eax, %cr0
    ljmp $24, $(0xffff0000 + long - start)

.code64
long:
    mov $100000, %ecx
    xor %eax, %eax
1:  add $3, %eax
    mov %eax, 0x8000
    dec %ecx
    jnz 1b
    cmp $300000, %eax
    jne fail
    xor %eax, %eax
    cpuid
    cmp $7, %eax
    jb pass
    mov $7, %eax
    xor %ecx, %ecx
    cpuid
    bt $8, %ebx                 /* BMI2 */
    jnc pass
    mov $1, %esi
    mov $4, %ecx
    shlx %ecx, %esi, %esi
    cmp $16, %esi
    jne fail
pass:
    mov $0x3f8, %edx
    mov $'o', %al
    out %al, %dx
    mov $'k', %al
    out %al, %dx
fail:
    mov $0xfe, %al
    out %al, $0x64
2:  hlt
    jmp 2b

.p2align 3
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff    /* 8: 32-bit code */
    .quad 0x00cf93000000ffff    /* 16: data */
    .quad 0x00af9b000000ffff    /* 24: 64-bit code */
gdtr:
    .word 31
    .long 0xffff0000 + gdt - start

.org 0xfff0                     /* the reset vector */
.code16
    .byte 0xe9
    .word start - . - 2
.org 0x10000 - 1
    .byte 0
