//! The design as the caller has it: dense or sparse columns.

use crate::kernel::add_scaled;
use crate::{Error, Result};

/// A design X of n rows (samples) and p columns (features), borrowed from the caller.
///
/// Dense numbers are in column-major order: a column is consecutive. A sparse design is in compressed columns (CSC) and is
/// never made dense.
///
/// ```
/// use penalty_fit::Matrix;
///
/// let dense = Matrix::dense(3, 2, &[1.0, 2.0, 3.0, 0.0, 0.5, 0.0])?;
/// // The same: column 0 has three numbers, column 1 has one, in row 1.
/// let sparse = Matrix::sparse(3, 2, &[0, 3, 4], &[0, 1, 2, 1], &[1.0, 2.0, 3.0, 0.5])?;
/// assert_eq!((dense.rows(), dense.cols()), (sparse.rows(), sparse.cols()));
/// # Ok::<(), penalty_fit::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    rows: usize,
    cols: usize,
    pub(crate) data: Data<'a>,
}

/// Where a design's numbers are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Data<'a> {
    /// One column after the other.
    Dense(&'a [f64]),
    /// The numbers of column j are those from `starts[j]` to `starts[j + 1]`.
    Sparse { starts: &'a [usize], rows: &'a [usize], values: &'a [f64] },
}

impl<'a> Matrix<'a> {
    /// A dense design, one column after the other.
    ///
    /// ```
    /// use penalty_fit::Matrix;
    ///
    /// let error = Matrix::dense(2, 2, &[1.0, 2.0, f64::NAN, 4.0]).unwrap_err();
    /// assert_eq!(error.to_string(), "the design must be finite, found NaN in row 0 of column 1 (counted from 0)");
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Length`] unless there are rows × columns numbers, [`Error::Design`] if one is not finite, and
    /// [`Error::Setting`] if there are no rows or no columns.
    pub fn dense(rows: usize, cols: usize, values: &'a [f64]) -> Result<Matrix<'a>> {
        has_sides(rows, cols)?;
        let expected = rows.saturating_mul(cols);
        if values.len() != expected {
            return Err(Error::Length { what: "the design", expected, found: values.len() });
        }
        if let Some(at) = values.iter().position(|x| !x.is_finite()) {
            return Err(Error::Design { row: at % rows, column: at / rows, found: values[at] });
        }
        Ok(Matrix { rows, cols, data: Data::Dense(values) })
    }

    /// A sparse design in compressed columns. The numbers of column j are `values[starts[j]..starts[j + 1]]`, in the rows
    /// at the same places of `row_indices`, which ascend within a column.
    ///
    /// ```
    /// use penalty_fit::Matrix;
    ///
    /// let error = Matrix::sparse(2, 1, &[0, 2], &[1, 0], &[5.0, 6.0]).unwrap_err();
    /// assert_eq!(error.to_string(), "the sparse design must have ascending rows within a column, found row 0 after row 1");
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Sparse`] if the starts or the rows are not those of such a matrix; otherwise as
    /// [`dense`](Matrix::dense).
    pub fn sparse(
        rows: usize,
        cols: usize,
        starts: &'a [usize],
        row_indices: &'a [usize],
        values: &'a [f64],
    ) -> Result<Matrix<'a>> {
        has_sides(rows, cols)?;
        if u32::try_from(rows).is_err() {
            let expected = "fewer than 2^32 rows";
            return Err(Error::Sparse { expected, found: rows.to_string() });
        }
        if starts.len() != cols + 1 {
            return Err(Error::Length { what: "the starts of columns", expected: cols + 1, found: starts.len() });
        }
        if row_indices.len() != values.len() {
            let (expected, found) = (values.len(), row_indices.len());
            return Err(Error::Length { what: "the row indices", expected, found });
        }
        if starts[0] != 0 || starts[cols] != values.len() || starts.windows(2).any(|pair| pair[0] > pair[1]) {
            let expected = "ascending starts from 0 to the number of its values";
            return Err(Error::Sparse { expected, found: "others".into() });
        }
        for column in 0..cols {
            let (of, values) = (&row_indices[starts[column]..starts[column + 1]], &values[starts[column]..]);
            if let Some(pair) = of.windows(2).find(|pair| pair[0] >= pair[1]) {
                let found = format!("row {} after row {}", pair[1], pair[0]);
                return Err(Error::Sparse { expected: "ascending rows within a column", found });
            }
            if let Some(row) = of.last().filter(|row| **row >= rows) {
                let found = format!("row {row} of {rows}");
                return Err(Error::Sparse { expected: "rows below the number of rows", found });
            }
            if let Some((row, x)) = of.iter().zip(values).find(|(_, x)| !x.is_finite()) {
                return Err(Error::Design { row: *row, column, found: *x });
            }
        }
        Ok(Matrix { rows, cols, data: Data::Sparse { starts, rows: row_indices, values } })
    }

    /// How many samples there are.
    ///
    /// ```
    /// assert_eq!(penalty_fit::Matrix::dense(3, 1, &[1.0, 2.0, 3.0])?.rows(), 3);
    /// # Ok::<(), penalty_fit::Error>(())
    /// ```
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many features there are.
    ///
    /// ```
    /// assert_eq!(penalty_fit::Matrix::dense(3, 1, &[1.0, 2.0, 3.0])?.cols(), 1);
    /// # Ok::<(), penalty_fit::Error>(())
    /// ```
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Writes Σⱼ xⱼwⱼ of each row to `out`, which has one number per row.
    pub(crate) fn times(&self, weights: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (column, w) in weights.iter().enumerate().filter(|(_, w)| **w != 0.0) {
            match self.data {
                Data::Dense(values) => {
                    let x = &values[column * self.rows..(column + 1) * self.rows];
                    add_scaled(*w, x, out);
                }
                Data::Sparse { starts, rows, values } => {
                    for at in starts[column]..starts[column + 1] {
                        out[rows[at]] += w * values[at];
                    }
                }
            }
        }
    }
}

/// Copies of some rows of a design.
pub(crate) struct Rows {
    rows: usize,
    cols: usize,
    values: Vec<f64>,
    /// The starts and the rows of a sparse design.
    sparse: Option<(Vec<usize>, Vec<usize>)>,
}

impl Matrix<'_> {
    /// These rows, which ascend.
    pub(crate) fn picked(&self, picked: &[usize]) -> Rows {
        let (rows, cols) = (picked.len(), self.cols);
        match self.data {
            Data::Dense(values) => {
                let values = values.chunks(self.rows).flat_map(|x| picked.iter().map(|row| x[*row])).collect();
                Rows { rows, cols, values, sparse: None }
            }
            Data::Sparse { starts, rows: of, values } => {
                let mut places = vec![usize::MAX; self.rows];
                picked.iter().enumerate().for_each(|(place, row)| places[*row] = place);
                let (mut kept, mut kept_rows, mut kept_starts) = (Vec::new(), Vec::new(), vec![0]);
                for column in starts.windows(2) {
                    for at in (column[0]..column[1]).filter(|at| places[of[*at]] != usize::MAX) {
                        kept.push(values[at]);
                        kept_rows.push(places[of[at]]);
                    }
                    kept_starts.push(kept.len());
                }
                Rows { rows, cols, values: kept, sparse: Some((kept_starts, kept_rows)) }
            }
        }
    }
}

impl Rows {
    pub(crate) fn matrix(&self) -> Matrix<'_> {
        let data = match &self.sparse {
            None => Data::Dense(&self.values),
            Some((starts, rows)) => Data::Sparse { starts, rows, values: &self.values },
        };
        Matrix { rows: self.rows, cols: self.cols, data }
    }
}

#[cfg(feature = "ndarray")]
impl<'a> Matrix<'a> {
    /// A dense design from a view whose columns are consecutive, as those of an array in Fortran order or of the transpose
    /// of a standard one.
    ///
    /// ```
    /// use ndarray::{Array2, ShapeBuilder};
    ///
    /// let x = Array2::from_shape_vec((3, 2).f(), vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).expect("the shape fits");
    /// assert_eq!(penalty_fit::Matrix::view(x.view())?.cols(), 2);
    /// # Ok::<(), penalty_fit::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the columns are not consecutive; otherwise as [`dense`](Matrix::dense).
    pub fn view(x: ndarray::ArrayView2<'a, f64>) -> Result<Matrix<'a>> {
        let (rows, cols) = x.dim();
        match x.reversed_axes().to_slice() {
            Some(values) => Matrix::dense(rows, cols, values),
            None => Err(Error::Setting {
                name: "the view",
                expected: "in column-major order".into(),
                found: "another order".into(),
            }),
        }
    }
}

fn has_sides(rows: usize, cols: usize) -> Result<()> {
    if rows > 0 && cols > 0 {
        return Ok(());
    }
    let found = format!("{rows} rows and {cols} columns");
    Err(Error::Setting { name: "the design", expected: "of at least one row and one column".into(), found })
}
