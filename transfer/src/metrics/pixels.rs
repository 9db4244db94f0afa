pub struct PixelScores { classes: usize, counts: Vec<u64> }
impl PixelScores {
    pub fn new(classes: usize) -> Self { Self { classes, counts: vec![0; classes * classes] } }
    pub fn add(&mut self, truth: &[u8], found: &[u8]) { for (&t, &f) in truth.iter().zip(found) { if t != 255 { self.counts[t as usize * self.classes + f as usize] += 1; } } }
    pub fn miou(&self) -> f64 { let v: Vec<f64> = (0..self.classes).filter_map(|c| self.iou_of(c)).collect(); v.iter().sum::<f64>() / v.len().max(1) as f64 }
    pub fn iou_of(&self, c: usize) -> Option<f64> { let n = self.classes; let tp = self.counts[c * n + c]; let t: u64 = (0..n).map(|f| self.counts[c * n + f]).sum(); let f: u64 = (0..n).map(|t| self.counts[t * n + c]).sum(); let u = t + f - tp; (u > 0).then(|| tp as f64 / u as f64) }
    pub fn pixel_accuracy(&self) -> f64 { let n = self.classes; let tp: u64 = (0..n).map(|c| self.counts[c * n + c]).sum(); tp as f64 / self.counts.iter().sum::<u64>().max(1) as f64 }
    pub fn dice(&self) -> f64 { let v: Vec<f64> = (0..self.classes).filter_map(|c| self.iou_of(c)).map(|i| 2.0 * i / (1.0 + i)).collect(); v.iter().sum::<f64>() / v.len().max(1) as f64 }
}
