package msm

import "math/bits"

const (
	// chunk is how many points are sorted at a time: they and their sums should stay in a processor's second cache, and
	// many additions should share an inversion.
	chunk = 4096
	// lanes is how many runs of buckets are weighed side by side.
	lanes = 64
)

// run is where the points of one bucket are.
type run struct{ first, end uint32 }

// work is the scratch space for one part of a sum: its buckets, and what becomes of one chunk of points.
type work[P, J any, PP affine[P], PJ jacobian[P, J]] struct {
	adder   adder[P]
	buckets []P
	digits  []int32
	ends    []uint32 // where the points of each bucket end
	points  []P      // by bucket
	runs    []run
	into    []pair[P] // the buckets, and what is to be added to them
	batch   []pair[P]
}

func newWork[P, J any, PP affine[P], PJ jacobian[P, J]](a adder[P], width int) *work[P, J, PP, PJ] {
	return &work[P, J, PP, PJ]{
		adder: a, buckets: make([]P, 1<<(width-1)), digits: make([]int32, chunk), ends: make([]uint32, 1<<(width-1)),
		points: make([]P, chunk), batch: make([]pair[P], 0, chunk),
	}
}

// add puts each point into the bucket of its digit: digit d belongs to bucket |d|-1, and its point is negated if d is
// negative.
func (w *work[P, J, PP, PJ]) add(points []P, scalars []Scalar, half int, d *digits) {
	for len(points) > 0 {
		n := min(chunk, len(points))
		w.sort(points[:n], scalars[:n], half, d)
		w.sum()
		points, scalars = points[n:], scalars[n:]
	}
}

// sort brings the points into the order of their buckets, by counting.
func (w *work[P, J, PP, PJ]) sort(points []P, scalars []Scalar, half int, d *digits) {
	clear(w.ends)
	for i := range scalars {
		digit := d.of(&scalars[i][half])
		w.digits[i] = digit
		if digit != 0 {
			w.ends[max(digit, -digit)-1]++
		}
	}
	var n uint32
	for i, count := range w.ends {
		w.ends[i] = n // where they begin, until all are there
		n += count
	}
	for i := range points {
		digit := w.digits[i]
		if digit == 0 {
			continue
		}
		end := &w.ends[max(digit, -digit)-1]
		if digit > 0 {
			w.points[*end] = points[i]
		} else {
			PP(&w.points[*end]).Neg(&points[i])
		}
		*end++
	}
}

// sum adds the points of each bucket to one another, two by two, until one is left, and that to the bucket.
func (w *work[P, J, PP, PJ]) sum() {
	w.runs, w.into = w.runs[:0], w.into[:0]
	var first uint32
	for i, end := range w.ends {
		if first < end {
			w.runs = append(w.runs, run{first, end})
			w.into = append(w.into, pair[P]{&w.buckets[i], &w.points[first]})
		}
		first = end
	}
	for step := uint32(1); len(w.runs) > 0; step *= 2 {
		longer := w.runs[:0]
		w.batch = w.batch[:0]
		for _, r := range w.runs {
			if r.first+step >= r.end {
				continue
			}
			longer = append(longer, r)
			for i := r.first; i+step < r.end; i += 2 * step {
				w.batch = append(w.batch, pair[P]{&w.points[i], &w.points[i+step]})
			}
		}
		w.runs = longer
		w.adder.add(w.batch)
	}
	w.adder.add(w.into)
}

// weigh is the sum of all buckets, each as often as its digit says. A lane has a run of buckets and goes through it from
// the top: in the end its tail is their sum, and its total has each of them as often as its place in the run says.
func (w *work[P, J, PP, PJ]) weigh() J {
	lanes := min(lanes, len(w.buckets))
	run := len(w.buckets) / lanes
	tails, totals := make([]P, lanes), make([]P, lanes)
	for i := run - 1; i >= 0; i-- {
		w.batch = w.batch[:0]
		for l := range lanes {
			w.batch = append(w.batch, pair[P]{&tails[l], &w.buckets[l*run+i]})
		}
		w.adder.add(w.batch)
		for l := range lanes {
			w.batch[l] = pair[P]{&totals[l], &tails[l]}
		}
		w.adder.add(w.batch)
	}
	// What is missing is each tail as often as all runs before it are long.
	var tail, sum J
	for l := lanes - 1; l > 0; l-- {
		PJ(&tail).AddMixed(&tails[l])
		PJ(&sum).AddAssign(&tail)
	}
	for range bits.TrailingZeros(uint(run)) {
		PJ(&sum).DoubleAssign()
	}
	for l := range lanes {
		PJ(&sum).AddMixed(&totals[l])
	}
	return sum
}
