//! The microkernels of each instruction set behind one trait, and the choice between them at run time.

use std::mem::MaybeUninit;

use super::tiles;
use super::vector::{Plain, Vector};
use super::word::{Single, Word};

use super::tiles::FinishNarrow;
pub(crate) use super::tiles::{Ahead, Finish, Outer};

/// One instruction set's microkernels. Sizes known only at run time are turned into constants here.
///
/// # Safety
/// Call the functions only on a processor that has the instruction set. Pointers as in [`super::tiles`].
pub(crate) trait Microkernels {
    /// The register type.
    type Register: Vector;
    /// Pixels of a tile, at most.
    const ROWS: usize;
    /// Channels of a full panel: two registers.
    const COLUMNS: usize = 2 * Self::Register::LANES;

    /// Floats from one pixel to the next of the left operand of [`tiles::outer`]: `ROWS` in whole registers.
    const LEFT: usize = Self::ROWS.next_multiple_of(Self::Register::LANES);

    /// Channels of the panel that starts at `first` of `total` channels: the last is one register wide when that is enough.
    fn panel_width(first: usize, total: usize) -> usize {
        if total - first > Self::Register::LANES { Self::COLUMNS } else { Self::Register::LANES }
    }

    /// The channels of all panels together.
    fn padded(total: usize) -> usize {
        match total {
            0 => 0,
            _ => {
                let last = (total - 1) / Self::COLUMNS * Self::COLUMNS;
                last + Self::panel_width(last, total)
            }
        }
    }

    /// [`tiles::multiply`] for `count` ≤ `ROWS` rows and a panel of `width` channels.
    unsafe fn multiply(
        sizes: (usize, usize),
        rows: *const *const f32,
        count: usize,
        panel: *const f32,
        width: usize,
        tile: *mut f32,
        ahead: *const f32,
    );

    /// As `multiply`, for words that hold several numbers.
    unsafe fn multiply_narrow<W: Word>(
        sizes: (usize, usize),
        rows: *const *const f32,
        count: usize,
        panel: *const f32,
        width: usize,
        tile: *mut f32,
        ahead: *const f32,
    );

    /// [`tiles::multiply_whole`] for `offsets.len()` ≤ `ROWS` rows and a panel of `finish.columns` channels.
    unsafe fn multiply_whole(
        sizes: (usize, usize),
        rows: *const *const f32,
        offsets: &[usize],
        panel: *const f32,
        finish: &Finish,
        ahead: *const f32,
    );

    /// [`Self::multiply`] for `offsets.len()` rows, and [`Self::finish`].
    #[inline(always)]
    unsafe fn multiply_and_finish(
        sizes: (usize, usize),
        rows: *const *const f32,
        offsets: &[usize],
        panel: (*const f32, usize),
        finish: &Finish,
        ahead: *const f32,
    ) {
        let (panel, width) = panel;
        // SAFETY: as the trait asks; the tile has room for `ROWS` rows of `COLUMNS`.
        unsafe {
            if finish.columns == width {
                return Self::multiply_whole(sizes, rows, offsets, panel, finish, ahead);
            }
            let mut tile = Tile::new();
            Self::multiply(sizes, rows, offsets.len(), panel, width, tile.start(), ahead);
            Self::finish(tile.start(), width, offsets, finish);
        }
    }

    /// [`tiles::outer`] for `count` ≤ `ROWS` rows and `width` columns.
    unsafe fn outer(operands: &Outer, count: usize, width: usize, sums: *mut f32, add: bool);

    /// As `outer`, for words that hold several numbers.
    unsafe fn outer_narrow<W: Word>(operands: &Outer, count: usize, width: usize, sums: *mut f32, add: bool);

    /// [`tiles::finish`].
    unsafe fn finish(tile: *const f32, width: usize, offsets: &[usize], finish: &Finish);

    /// [`tiles::finish_narrow`].
    unsafe fn finish_narrow(
        tile: *mut f32,
        width: usize,
        offsets: &[usize],
        finish: &FinishNarrow,
        within: bool,
    );

    /// Runs a loop with the instruction set enabled.
    unsafe fn run(body: impl Loop);
}

/// A loop over registers.
///
/// A closure will not do: the compiler inlines it only when it sees fit, and what is not inlined into a function that enables
/// the instruction set runs without it, ten times slower.
pub(crate) trait Loop {
    /// Runs the loop. Implementations are `#[inline(always)]`, and so is whatever handles registers within.
    ///
    /// # Safety
    /// As for [`Vector`], and what the implementation asks.
    unsafe fn run<V: Vector>(self);
}

/// A finished tile of any instruction set, aligned for whole registers.
#[repr(align(64))]
pub(crate) struct Tile(MaybeUninit<[f32; 14 * 32]>);

impl Tile {
    pub fn new() -> Self {
        Self(MaybeUninit::uninit())
    }

    pub fn start(&mut self) -> *mut f32 {
        self.0.as_mut_ptr().cast()
    }
}

macro_rules! microkernels {
    ($(#[$doc:meta])* $name:ident, $register:ty, rows $rows:literal: $($count:literal)+, $(#[$features:meta] #[$narrow:meta])?) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl Microkernels for $name {
            type Register = $register;
            const ROWS: usize = $rows;

            #[inline]
            unsafe fn multiply(
                sizes: (usize, usize),
                rows: *const *const f32,
                count: usize,
                panel: *const f32,
                width: usize,
                tile: *mut f32,
                ahead: *const f32,
            ) {
                $(#[$features])?
                unsafe fn run<W: Word, const ROWS: usize, const VECTORS: usize>(
                    sizes: (usize, usize),
                    rows: *const *const f32,
                    panel: *const f32,
                    tile: *mut f32,
                    ahead: *const f32,
                ) {
                    // SAFETY: as the trait asks.
                    unsafe { tiles::multiply::<$register, W, ROWS, VECTORS>(sizes, rows, $rows, panel, tile, ahead) }
                }
                let double = width == Self::COLUMNS;
                match count {
                    // SAFETY: as the trait asks.
                    $($count => unsafe {
                        if double { run::<Single, $count, 2>(sizes, rows, panel, tile, ahead) } else { run::<Single, $count, 1>(sizes, rows, panel, tile, ahead) }
                    },)+
                    _ => unreachable!("tiles have 1 to {} rows", $rows),
                }
            }

            #[inline]
            unsafe fn multiply_narrow<W: Word>(
                sizes: (usize, usize),
                rows: *const *const f32,
                count: usize,
                panel: *const f32,
                width: usize,
                tile: *mut f32,
                ahead: *const f32,
            ) {
                $(#[$narrow])?
                unsafe fn run<W: Word, const ROWS: usize, const VECTORS: usize>(
                    sizes: (usize, usize),
                    rows: *const *const f32,
                    panel: *const f32,
                    tile: *mut f32,
                    ahead: *const f32,
                ) {
                    // SAFETY: as the trait asks.
                    unsafe { tiles::multiply::<$register, W, ROWS, VECTORS>(sizes, rows, $rows, panel, tile, ahead) }
                }
                let double = width == Self::COLUMNS;
                match count {
                    // SAFETY: as the trait asks.
                    $($count => unsafe {
                        if double { run::<W, $count, 2>(sizes, rows, panel, tile, ahead) } else { run::<W, $count, 1>(sizes, rows, panel, tile, ahead) }
                    },)+
                    _ => unreachable!("tiles have 1 to {} rows", $rows),
                }
            }

            #[inline]
            unsafe fn multiply_whole(
                sizes: (usize, usize),
                rows: *const *const f32,
                offsets: &[usize],
                panel: *const f32,
                finish: &Finish,
                ahead: *const f32,
            ) {
                $(#[$features])?
                unsafe fn run<const ROWS: usize, const VECTORS: usize>(
                    sizes: (usize, usize),
                    rows: *const *const f32,
                    panel: *const f32,
                    offsets: *const usize,
                    finish: &Finish,
                    ahead: *const f32,
                ) {
                    // SAFETY: as the trait asks.
                    unsafe { tiles::multiply_whole::<$register, ROWS, VECTORS>(sizes, rows, $rows, panel, offsets, finish, ahead) }
                }
                let (double, to) = (finish.columns == Self::COLUMNS, offsets.as_ptr());
                match offsets.len() {
                    // SAFETY: as the trait asks.
                    $($count => unsafe {
                        if double { run::<$count, 2>(sizes, rows, panel, to, finish, ahead) } else { run::<$count, 1>(sizes, rows, panel, to, finish, ahead) }
                    },)+
                    _ => unreachable!("tiles have 1 to {} rows", $rows),
                }
            }

            #[inline]
            unsafe fn outer(operands: &Outer, count: usize, width: usize, sums: *mut f32, add: bool) {
                $(#[$features])?
                unsafe fn run<W: Word, const ROWS: usize, const VECTORS: usize>(operands: &Outer, sums: *mut f32, add: bool) {
                    // SAFETY: as the trait asks.
                    unsafe { tiles::outer::<$register, W, ROWS, VECTORS>(operands, sums, add) }
                }
                let double = width == Self::COLUMNS;
                match count {
                    // SAFETY: as the trait asks.
                    $($count => unsafe {
                        if double { run::<Single, $count, 2>(operands, sums, add) } else { run::<Single, $count, 1>(operands, sums, add) }
                    },)+
                    _ => unreachable!("tiles have 1 to {} rows", $rows),
                }
            }

            #[inline]
            unsafe fn outer_narrow<W: Word>(operands: &Outer, count: usize, width: usize, sums: *mut f32, add: bool) {
                $(#[$narrow])?
                unsafe fn run<W: Word, const ROWS: usize, const VECTORS: usize>(operands: &Outer, sums: *mut f32, add: bool) {
                    // SAFETY: as the trait asks.
                    unsafe { tiles::outer::<$register, W, ROWS, VECTORS>(operands, sums, add) }
                }
                let double = width == Self::COLUMNS;
                match count {
                    // SAFETY: as the trait asks.
                    $($count => unsafe {
                        if double { run::<W, $count, 2>(operands, sums, add) } else { run::<W, $count, 1>(operands, sums, add) }
                    },)+
                    _ => unreachable!("tiles have 1 to {} rows", $rows),
                }
            }

            #[inline]
            unsafe fn finish(tile: *const f32, width: usize, offsets: &[usize], finish: &Finish) {
                $(#[$features])?
                unsafe fn run(tile: *const f32, width: usize, offsets: &[usize], finish: &Finish) {
                    // SAFETY: as the trait asks.
                    unsafe { tiles::finish::<$register>(tile, width, offsets, finish) }
                }
                // SAFETY: as the trait asks.
                unsafe { run(tile, width, offsets, finish) }
            }

            #[inline]
            unsafe fn finish_narrow(
                tile: *mut f32,
                width: usize,
                offsets: &[usize],
                finish: &FinishNarrow,
                within: bool,
            ) {
                $(#[$features])?
                unsafe fn run(tile: *mut f32, width: usize, offsets: &[usize], finish: &FinishNarrow, within: bool) {
                    // SAFETY: as the trait asks.
                    unsafe { tiles::finish_narrow::<$register>(tile, width, offsets, finish, within) }
                }
                // SAFETY: as the trait asks.
                unsafe { run(tile, width, offsets, finish, within) }
            }

            #[inline]
            unsafe fn run(body: impl Loop) {
                $(#[$features])?
                unsafe fn enabled(body: impl Loop) {
                    // SAFETY: as the trait asks.
                    unsafe { body.run::<$register>() }
                }
                // SAFETY: as the trait asks.
                unsafe { enabled(body) }
            }
        }
    };
}

microkernels!(
    /// Plain Rust: tiles of 6 × 8.
    Portable, Plain, rows 6: 1 2 3 4 5 6,
);

#[cfg(target_arch = "x86_64")]
microkernels!(
    /// AVX2 with FMA: tiles of 6 × 16, in 12 of 16 registers.
    Avx2, std::arch::x86_64::__m256, rows 6: 1 2 3 4 5 6,
    #[target_feature(enable = "avx2,fma")]
    #[target_feature(enable = "avx2,fma")]
);

#[cfg(target_arch = "x86_64")]
microkernels!(
    /// AVX-512: tiles of 14 × 32, in 28 of 32 registers. Narrow words want its extensions BF16 and VNNI.
    Avx512, std::arch::x86_64::__m512, rows 14: 1 2 3 4 5 6 7 8 9 10 11 12 13 14,
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,avx2,fma")]
);

/// Evaluates an expression with `$kernels` standing for the microkernels of an instruction set.
macro_rules! with_microkernels {
    ($isa:expr, $kernels:ident => $body:expr) => {
        match $isa {
            #[cfg(target_arch = "x86_64")]
            $crate::cpu::Isa::Avx512 => {
                type $kernels = $crate::cpu::kernels::micro::Avx512;
                $body
            }
            #[cfg(target_arch = "x86_64")]
            $crate::cpu::Isa::Avx2 => {
                type $kernels = $crate::cpu::kernels::micro::Avx2;
                $body
            }
            _ => {
                type $kernels = $crate::cpu::kernels::micro::Portable;
                $body
            }
        }
    };
}
pub(crate) use with_microkernels;
