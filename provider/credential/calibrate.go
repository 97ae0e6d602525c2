package credential

import (
	"fmt"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// MeasureCost returns how long one core of this machine takes for one hash of the cost: what a sign-in waits for.
func MeasureCost(cost int) (time.Duration, error) {
	input := []byte("what is hashed makes no difference; 44 bytes") // as long as what mix makes
	begin := time.Now()
	if _, err := bcrypt.GenerateFromPassword(input, cost); err != nil {
		return 0, fmt.Errorf("measure cost %d: %w", cost, err)
	}
	return time.Since(begin), nil
}
