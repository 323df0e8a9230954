//! A description as data: fields, sections and tables, and how they are laid out as text.

/// A page, or a section of one.
#[derive(Debug, Default)]
pub struct Sheet {
    items: Vec<Item>,
}

#[derive(Debug)]
enum Item {
    /// Values after the first stand below it.
    Field {
        label: String,
        values: Vec<String>,
    },
    Section {
        label: String,
        sheet: Sheet,
    },
    /// The header is the first row.
    Table {
        rows: Vec<Vec<String>>,
    },
    Text(String),
}

impl Sheet {
    pub fn new() -> Self {
        Self::default()
    }

    /// A label and its value; an empty value shows as `<none>`.
    pub fn field(&mut self, label: &str, value: impl Into<String>) {
        let value = value.into();
        let value = if value.is_empty() { "<none>".to_owned() } else { value };
        // A value of several lines stays aligned below its first.
        let values = value.lines().map(str::to_owned).collect();
        self.items.push(Item::Field { label: label.to_owned(), values });
    }

    /// As [`Sheet::field`], left out when there is no value.
    pub fn some(&mut self, label: &str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.field(label, value);
        }
    }

    /// A label and its values, one below the other.
    pub fn list(&mut self, label: &str, values: Vec<String>) {
        if values.is_empty() {
            self.field(label, "");
        } else {
            self.items.push(Item::Field { label: label.to_owned(), values });
        }
    }

    /// As [`Sheet::list`], left out when empty.
    pub fn some_list(&mut self, label: &str, values: Vec<String>) {
        if !values.is_empty() {
            self.list(label, values);
        }
    }

    /// A part with a heading; left out when it stays empty.
    pub fn section(&mut self, label: impl Into<String>, fill: impl FnOnce(&mut Sheet)) {
        let mut sheet = Sheet::new();
        fill(&mut sheet);
        if !sheet.is_empty() {
            self.items.push(Item::Section { label: label.into(), sheet });
        }
    }

    /// Aligned columns; left out when there are no rows.
    pub fn table(&mut self, header: &[&str], rows: Vec<Vec<String>>) {
        if !rows.is_empty() {
            let mut all = vec![header.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>()];
            all.extend(rows);
            self.items.push(Item::Table { rows: all });
        }
    }

    /// Text as it is, each line indented.
    pub fn text(&mut self, text: impl Into<String>) {
        self.items.push(Item::Text(text.into()));
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn render(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        out
    }

    fn write(&self, out: &mut String, indent: usize) {
        // Labels of one sheet share one column, so that values line up whatever stands between them.
        let width = self
            .items
            .iter()
            .filter_map(|i| if let Item::Field { label, .. } = i { Some(chars(label) + 1) } else { None })
            .max()
            .unwrap_or(0)
            + 2;
        for item in &self.items {
            match item {
                Item::Field { label, values } => {
                    for (i, value) in values.iter().enumerate() {
                        let label = if i == 0 { format!("{label}:") } else { String::new() };
                        line(out, indent, &format!("{label}{}{value}", " ".repeat(width - chars(&label))));
                    }
                }
                Item::Section { label, sheet } => {
                    line(out, indent, &format!("{label}:"));
                    sheet.write(out, indent + 2);
                }
                Item::Table { rows } => table(out, indent, rows),
                Item::Text(text) => text.lines().for_each(|l| line(out, indent, l)),
            }
        }
    }
}

fn table(out: &mut String, indent: usize, rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|c| rows.iter().filter_map(|r| r.get(c)).map(|cell| chars(cell)).max().unwrap_or(0))
        .collect();
    for row in rows {
        let mut text = String::new();
        for (c, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if c + 1 < row.len() {
                text.push_str(&" ".repeat(widths[c] - chars(cell) + 2));
            }
        }
        line(out, indent, &text);
    }
}

fn line(out: &mut String, indent: usize, text: &str) {
    let text = text.trim_end();
    if !text.is_empty() {
        out.push_str(&" ".repeat(indent));
        out.push_str(text);
    }
    out.push('\n');
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_line_up_and_sections_are_indented() {
        let mut sheet = Sheet::new();
        sheet.field("Name", "web");
        sheet.list("Labels", vec!["a=1".into(), "b=2".into()]);
        sheet.field("Annotations", "");
        sheet.some("Absent", "");
        sheet.section("Containers", |s| {
            s.section("app", |s| s.field("Image", "x:1"));
            s.table(&["Type", "Status"], vec![vec!["Ready".into(), "True".into()]]);
        });
        insta::assert_snapshot!(sheet.render(), @r"
        Name:         web
        Labels:       a=1
                      b=2
        Annotations:  <none>
        Containers:
          app:
            Image:  x:1
          Type   Status
          Ready  True
        ");
    }
}
