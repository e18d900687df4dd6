//! What rules do with each parameter of a module, as a table to print.

use std::fmt;

use penalty::Penalty;

use crate::walk::Found;

/// What [`Rules`](crate::Rules) do with each float parameter of a module; [`Rules::table`](crate::Rules::table) makes it. Its text has a line for
/// each parameter, in the module's order.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::Device;
/// use penalty::Penalty;
/// use penalty_burn::Rules;
///
/// let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
/// let text = Rules::new(Penalty::l1(0.5)?).table(&layer)?.to_string();
/// let lines: Vec<&str> = text.lines().collect();
/// assert_eq!(lines[1], "weight     [8, 4]  F32   l1:lambda=0.5");
/// assert_eq!(lines[2], "bias       [4]     F32   none: of rank 1");
/// # Ok::<(), penalty_burn::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Table(pub(crate) Vec<Row>);

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) found: Found,
    /// Or why it has none.
    pub(crate) penalty: Result<Penalty, &'static str>,
    pub(crate) scheduled: bool,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.0.iter().map(|row| {
            let penalty = match &row.penalty {
                Ok(penalty) if row.scheduled => format!("{penalty}, scheduled"),
                Ok(penalty) => penalty.to_string(),
                Err(why) => format!("none: {why}"),
            };
            [row.found.path.clone(), format!("{:?}", row.found.shape), format!("{:?}", row.found.dtype), penalty]
        });
        let head = ["parameter", "shape", "type", "penalty"].map(String::from);
        let lines: Vec<[String; 4]> = std::iter::once(head).chain(lines).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
        let [path, shape, dtype] = [0, 1, 2].map(width);
        for (at, [a, b, c, d]) in lines.iter().enumerate() {
            let end = if at + 1 == lines.len() { "" } else { "\n" };
            write!(f, "{a:<path$}  {b:<shape$}  {c:<dtype$}  {d}{end}")?;
        }
        Ok(())
    }
}
